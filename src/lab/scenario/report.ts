import type { JournalEntry } from '../../actuate/index.js';

/** What a scenario measured; fields that a scenario does not have are absent. */
export interface ScenarioReport {
  readonly scenario: string;
  /** From asking for other weights until the first packet of a new flow arrived by the other link. */
  readonly steering?: {
    readonly changes: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
  };
  /** From asking for another ceiling until the flow runs at it, within a quarter, for 100 ms. */
  readonly ceilings?: {
    readonly changes: number;
    readonly p50Ms: number;
    readonly maxMs: number;
    /** Rate over ceiling, over the whole of each period. */
    readonly worstRatio: number;
  };
  /** Packets that the ceiling's queue dropped. */
  readonly droppedPackets?: number;
  /** TCP segments that were sent again and had not arrived before. */
  readonly lostPackets?: number;
  /** Packets that interfaces of the lab threw away, for want of CPU. */
  readonly interfaceDrops?: number;
  /** TCP segments that the senders' kernels sent again, also those whose acknowledgement was only late. */
  readonly resentPackets?: number;
  /** TCP segments that the receivers' kernels found out of order. */
  readonly reorderedPackets?: number;
  /** Connections that broke or were answered by another server than before. */
  readonly movedFlows?: number;
  readonly packetsPerSecond?: number;
  /** Flows that took part, one after the other. */
  readonly flows?: number;
  /** From leaving the expected band until the first new flow on the public side. */
  readonly reactionMs?: number;
  /** From the reaction until the request latency's p99 was under its goal again. */
  readonly recoveryMs?: number;
  readonly latencyP99Ms?: { readonly before: number; readonly worst: number; readonly after: number };
  /** How long before the peak the first new flows were moved. */
  readonly movedBeforePeakMs?: number;
  /** Seconds in which the request latency's p99 was above its goal, and what the public side cost, by forecast … */
  readonly violationSeconds?: number;
  readonly costUsd?: number;
  /** … and on a day with the same load by the reactive rule alone. */
  readonly reactiveViolationSeconds?: number;
  readonly reactiveCostUsd?: number;
  /** How long new flows were lost. */
  readonly lossWindowMs?: number;
  /** What the guard found, and whether the next plan was held off after it. */
  readonly breach?: string;
  readonly heldOff?: boolean;
  /** For how long, one breach after the other. */
  readonly holdOffsMs?: readonly number[];
  /** How often the applier was killed, and how often it had not finished by then. */
  readonly kills?: number;
  readonly interrupted?: number;
  /** The state after recovery is one of the two that the journal knows. */
  readonly consistent?: boolean;
  /** Of the machine, over the minute before the end: on a busy one times are upper bounds. */
  readonly loadAverage?: number;
  readonly journal: readonly JournalEntry[];
}

/** The value below which `quantile` of the sorted values are; NaN of none. */
export const quantileOf = (sorted: readonly number[], quantile: number): number =>
  sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(quantile * sorted.length) - 1))] ?? Number.NaN;

/**
 * How long after each request for other weights the first packet of a new flow came to the side that was asked for.
 *
 * @param arrivals first packets of flows by side, ms of the monotonic clock, ascending
 */
export function steeringFigures(
  flips: readonly { readonly atMs: number; readonly to: number }[],
  arrivals: readonly ArrayLike<number>[],
): NonNullable<ScenarioReport['steering']> {
  const delays = flips
    .map(({ atMs, to }) => {
      const first = Array.from(arrivals[to] ?? []).find((time) => time > atMs);
      return (first ?? Number.POSITIVE_INFINITY) - atMs;
    })
    .sort((a, b) => a - b);
  return {
    changes: flips.length,
    p50Ms: quantileOf(delays, 0.5),
    p99Ms: quantileOf(delays, 0.99),
    maxMs: delays.at(-1) ?? Number.NaN,
  };
}
