import type { JournalEntry } from '../../actuate/index.js';

/** What a scenario measured; fields that a scenario does not have are absent. */
export interface ScenarioReport {
  readonly scenario: string;
  /**
   * From asking the datapath for other weights until the first packet of a new flow arrived by the other link; and
   * from handing the plan to the actuator, which looks at what is, journals, and asks. `route` has only the latter.
   */
  readonly steering?: {
    readonly changes: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
    readonly planned: { readonly p50Ms: number; readonly p99Ms: number };
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

/** All new flows were sent to another side: when the actuator was given the plan, when it asked the datapath. */
export interface Flip {
  /** Number of the side. */
  readonly to: number;
  /** Of the monotonic clock. */
  readonly plannedMs: number;
  readonly askedMs: number;
}

/**
 * How long after each flip the first packet of a new flow came to the side that was asked for.
 *
 * @param arrivals first packets of flows by side, ms of the monotonic clock, ascending
 */
export function steeringFigures(
  flips: readonly Flip[],
  arrivals: readonly ArrayLike<number>[],
): NonNullable<ScenarioReport['steering']> {
  const delaysSince = (since: 'plannedMs' | 'askedMs'): readonly number[] =>
    flips
      .map((flip) => {
        const first = Array.from(arrivals[flip.to] ?? []).find((time) => time > flip.plannedMs);
        return (first ?? Number.POSITIVE_INFINITY) - flip[since];
      })
      .sort((a, b) => a - b);
  const [asked, planned] = [delaysSince('askedMs'), delaysSince('plannedMs')];
  return {
    changes: flips.length,
    p50Ms: quantileOf(asked, 0.5),
    p99Ms: quantileOf(asked, 0.99),
    maxMs: asked.at(-1) ?? Number.NaN,
    planned: { p50Ms: quantileOf(planned, 0.5), p99Ms: quantileOf(planned, 0.99) },
  };
}
