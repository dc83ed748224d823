import type { Tariff } from '../../pricing/index.js';
import type { StepVolume } from './account.js';
import { instanceUsd, type LedgerInstances } from './instances.js';
import { perfectDays } from './perfect.js';
import { DAY_MS, dayOf, type LedgerStep, runDays, type ScheduleDays } from './schedule.js';

const OCTETS_PER_GB = 1e9;
const MINUTE_MS = 60_000;

export interface LedgerLink {
  readonly linkId: string;
  readonly capacityBps: number;
  readonly tariff: Tariff;
}

/** What one workload really sent and received over one link in one step. */
export interface LedgerUsage {
  readonly stepStartMs: number;
  readonly workloadId: number;
  readonly linkId: string;
  readonly octetsOut: number;
  readonly octetsIn: number;
}

export interface LedgerDay {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly actualUsd: number;
  /** Every workload on the link that carried most of it when the ledger began, the most instances all the time. */
  readonly doNothingUsd: number;
  /** The same demand over the links that were cheapest in each step, known beforehand. */
  readonly perfectUsd: number;
  readonly regretUsd: number;
  readonly savedUsd: number;
  /** Instances' part of the actual cost. */
  readonly instancesUsd: number;
  readonly violationMinutes: number;
  readonly doNothingViolationMinutes: number;
  readonly gb: number;
}

/** The link that carried most of each workload on the first day that it was seen: its place among the links. */
function homesOf(usage: readonly LedgerUsage[], placeOf: ReadonlyMap<string, number>): Map<number, number> {
  const first = new Map<number, number>();
  const sums = new Map<number, Map<string, number>>();
  for (const u of usage) {
    const day = dayOf(u.stepStartMs);
    if (!first.has(u.workloadId)) first.set(u.workloadId, day);
    if (first.get(u.workloadId) !== day) continue;
    const volumes = sums.get(u.workloadId) ?? new Map<string, number>();
    sums.set(u.workloadId, volumes.set(u.linkId, (volumes.get(u.linkId) ?? 0) + u.octetsOut + u.octetsIn));
  }
  return new Map(
    [...sums].map(([id, volumes]) => {
      const [home] = [...volumes].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
      return [id, placeOf.get(home![0])!];
    }),
  );
}

/** The usage as steps: where it went, and where it would have gone had nothing been moved. */
function stepsOf(
  links: readonly LedgerLink[],
  usage: readonly LedgerUsage[],
): { readonly actual: LedgerStep[]; readonly nothing: LedgerStep[] } {
  const placeOf = new Map(links.map((link, l) => [link.linkId, l]));
  const known = usage.filter((u) => placeOf.has(u.linkId));
  const homes = homesOf(known, placeOf);
  const actual: LedgerStep[] = [];
  const nothing: LedgerStep[] = [];
  const empty = (): { out: number; in: number }[] => links.map(() => ({ out: 0, in: 0 }));
  const add = (step: readonly StepVolume[], l: number, u: LedgerUsage): void => {
    const volume = step[l] as { out: number; in: number };
    volume.out += u.octetsOut;
    volume.in += u.octetsIn;
  };
  for (const u of known) {
    if (actual.at(-1)?.startMs !== u.stepStartMs) {
      actual.push({ startMs: u.stepStartMs, volumes: empty() });
      nothing.push({ startMs: u.stepStartMs, volumes: empty() });
    }
    add(actual.at(-1)!.volumes, placeOf.get(u.linkId)!, u);
    add(nothing.at(-1)!.volumes, homes.get(u.workloadId)!, u);
  }
  return { actual, nothing };
}

/**
 * The ledger, day by day: what the traffic and the instances of the past cost, what they would have cost had nothing
 * ever been moved or stopped, and what perfect foresight would have paid. Everything that the tariffs bill is in it:
 * volume in both directions, ports, monthly fees and circuits in proportion to the time, and percentile-billed rates
 * on the day on which the month's bill grew by them. Volume that no link has room for counts as a violation and is
 * billed where it was put.
 *
 * Perfect foresight is the cheapest of what {@link perfectDays} finds and of what really happened.
 *
 * @param usage in ascending order of time; links that are not in `links` are ignored
 * @param rented instances by step; absent = none are known of
 * @param untilMs the present, Unix time: the day that is running owes its fees until then; absent = all days are over
 */
export function ledgerOf(
  links: readonly LedgerLink[],
  usage: readonly LedgerUsage[],
  stepMs: number,
  rented: readonly LedgerInstances[] = [],
  untilMs = Number.POSITIVE_INFINITY,
): LedgerDay[] {
  const { actual, nothing } = stepsOf(links, usage);
  const run = (steps: readonly LedgerStep[]): ScheduleDays =>
    runDays(links, steps, stepMs, (step) => steps[step]!.volumes, { untilMs });
  const [real, still] = [run(actual), run(nothing)];
  const perfect = [real, perfectDays(links, actual, stepMs, untilMs)].reduce((a, b) =>
    b.totalUsd < a.totalUsd ? b : a,
  );
  const instances = new Map<number, { actual: number; nothing: number; perfect: number }>();
  for (const [i, usd] of instanceUsd(rented, stepMs).entries()) {
    const day = dayOf(rented[i]!.stepStartMs);
    const sum = instances.get(day) ?? { actual: 0, nothing: 0, perfect: 0 };
    instances.set(day, {
      actual: sum.actual + usd.actual,
      nothing: sum.nothing + usd.nothing,
      perfect: sum.perfect + usd.perfect,
    });
  }
  const gb = new Map<number, number>();
  for (const { startMs, volumes } of actual) {
    const octets = volumes.reduce((sum, v) => sum + v.out, 0);
    gb.set(dayOf(startMs), (gb.get(dayOf(startMs)) ?? 0) + octets / OCTETS_PER_GB);
  }
  return [...gb.keys()].map((day, i): LedgerDay => {
    const compute = instances.get(day) ?? { actual: 0, nothing: 0, perfect: 0 };
    const actualUsd = real.usd[i]! + compute.actual;
    const doNothingUsd = still.usd[i]! + compute.nothing;
    const perfectUsd = perfect.usd[i]! + compute.perfect;
    return {
      day: new Date(day * DAY_MS).toISOString().slice(0, 10),
      actualUsd,
      doNothingUsd,
      perfectUsd,
      regretUsd: actualUsd - perfectUsd,
      savedUsd: doNothingUsd - actualUsd,
      instancesUsd: compute.actual,
      violationMinutes: (real.violatedSteps[i]! * stepMs) / MINUTE_MS,
      doNothingViolationMinutes: (still.violatedSteps[i]! * stepMs) / MINUTE_MS,
      gb: gb.get(day)!,
    };
  });
}
