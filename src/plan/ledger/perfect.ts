import { freeSamples } from '../../pricing/index.js';
import type { LinkAccount, StepVolume } from './account.js';
import type { LedgerLink } from './ledger.js';
import {
  type CircuitSteps,
  type LedgerStep,
  type RunOptions,
  runDays,
  type ScheduleDays,
} from './schedule.js';

/** Levels of a percentile-billed link that are tried, as quantiles of all the demand. */
const LEVELS = [0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1] as const;

/** How perfect foresight would use the links: what each may carry in a usual step, and which circuit step it leases. */
interface Foresight {
  readonly roomBps: readonly number[];
  readonly circuits: CircuitSteps;
}

/**
 * What the same traffic would have cost with perfect foresight: in each step the links are filled by the price of
 * their next gigabyte; a percentile-billed link up to a level, and whole in the steps of highest demand that its
 * month does not bill; a circuit has one step throughout. Levels and steps are the cheapest of those tried, a link
 * after the other: exact where links are billed by volume within a tier, else an upper bound of the optimum.
 */
export function perfectDays(
  links: readonly LedgerLink[],
  steps: readonly LedgerStep[],
  stepMs: number,
  untilMs: number,
): ScheduleDays {
  const demands = Float64Array.from(steps, ({ volumes }) => volumes.reduce((sum, v) => sum + v.out, 0));
  const sorted = Float64Array.from(demands).sort();
  const bpsOf = (octets: number): number => (octets * 8000) / stepMs;
  const ranks = ranksOf(demands);
  const run = (foresight: Foresight, byDay = false): ScheduleDays =>
    split(links, steps, stepMs, foresight, ranks, { byDay, untilMs });
  let best: Foresight = {
    roomBps: links.map((link) => link.capacityBps),
    circuits: links.map(() => undefined),
  };
  let days = run(best);
  for (const [l, { tariff }] of links.entries()) {
    const tried: Foresight[] = [];
    const withRoom = (roomBps: number, mbps?: number): Foresight => ({
      roomBps: best.roomBps.with(l, roomBps),
      circuits: best.circuits.with(l, mbps),
    });
    if (tariff.burstable !== undefined) {
      const commit = tariff.burstable.commitMbps * 1e6;
      const levels = LEVELS.map((q) => bpsOf(sorted[Math.round(q * (sorted.length - 1))] ?? 0));
      for (const level of [commit, ...levels.filter((value) => value > commit)]) {
        tried.push(withRoom(Math.min(level, links[l]!.capacityBps)));
      }
    }
    for (const { mbps } of tariff.circuit?.steps ?? []) tried.push(withRoom(mbps * 1e6, mbps));
    for (const foresight of tried) {
      const result = run(foresight);
      const violations = (d: ScheduleDays): number => d.violatedSteps.reduce((sum, n) => sum + n, 0);
      const isWorse = violations(result) > violations(days);
      if (isWorse || result.totalUsd >= days.totalUsd) continue;
      best = foresight;
      days = result;
    }
  }
  return run(best, true);
}

/** Place of each step when the highest demand comes first. */
function ranksOf(demands: Float64Array): Int32Array {
  const ranks = new Int32Array(demands.length);
  [...demands.keys()]
    .sort((a, b) => demands[b]! - demands[a]! || a - b)
    .forEach((step, rank) => {
      ranks[step] = rank;
    });
  return ranks;
}

function split(
  links: readonly LedgerLink[],
  steps: readonly LedgerStep[],
  stepMs: number,
  { roomBps, circuits }: Foresight,
  ranks: Int32Array,
  options: Pick<RunOptions, 'byDay' | 'untilMs'>,
): ScheduleDays {
  const octetsOf = (bps: number): number => (bps * stepMs) / 8000;
  const free = links.map(({ tariff }) =>
    tariff.burstable === undefined ? 0 : freeSamples(tariff.burstable, steps.length),
  );
  const volumesOf = (step: number, accounts: readonly LinkAccount[]): StepVolume[] => {
    const { volumes } = steps[step]!;
    const out = volumes.reduce((sum, v) => sum + v.out, 0);
    const inbound = volumes.reduce((sum, v) => sum + v.in, 0);
    const order = [...links.keys()].sort(
      (a, b) => accounts[a]!.marginalUsdPerGb - accounts[b]!.marginalUsdPerGb || a - b,
    );
    const sent = links.map(() => 0);
    let left = out;
    for (const l of order) {
      const isFree = ranks[step]! < free[l]!;
      const room = octetsOf(isFree ? links[l]!.capacityBps : roomBps[l]!);
      const here = Math.min(left, room);
      sent[l] = here;
      left -= here;
    }
    // What nobody has room for goes where room is largest.
    if (left > 0) sent[order.reduce((a, b) => (roomBps[b]! > roomBps[a]! ? b : a))]! += left;
    return sent.map((octets) => ({
      out: octets,
      in: out > 0 ? (inbound * octets) / out : inbound / links.length,
    }));
  };
  return runDays(links, steps, stepMs, volumesOf, { ...options, circuits });
}
