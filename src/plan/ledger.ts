import { egressUsd, marginalUsdPerGb, type Tariff } from '../pricing/index.js';

const DAY_MS = 86_400_000;
const OCTETS_PER_GB = 1e9;
const MINUTE_MS = 60_000;

export interface LedgerLink {
  readonly linkId: string;
  readonly capacityBps: number;
  readonly tariff: Tariff;
}

/** What one workload really sent over one link in one step. */
export interface LedgerUsage {
  readonly stepStartMs: number;
  readonly workloadId: number;
  readonly linkId: string;
  readonly octetsOut: number;
}

export interface LedgerDay {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly actualUsd: number;
  /** Every workload on the link that carried most of it when the ledger began. */
  readonly doNothingUsd: number;
  /** The same demand over the links that were cheapest in each step, known beforehand. */
  readonly perfectUsd: number;
  readonly regretUsd: number;
  readonly savedUsd: number;
  readonly violationMinutes: number;
  readonly doNothingViolationMinutes: number;
  readonly gb: number;
}

type Volumes = Map<string, number>;

/** One way of having used the links: its tier positions run on from day to day and begin anew each month. */
class Account {
  readonly #links: ReadonlyMap<string, LedgerLink>;
  readonly #soFarGb: Volumes = new Map();
  #month = '';

  constructor(links: ReadonlyMap<string, LedgerLink>) {
    this.#links = links;
  }

  turn(day: string): void {
    if (day.slice(0, 7) === this.#month) return;
    this.#month = day.slice(0, 7);
    this.#soFarGb.clear();
  }

  send(linkId: string, gb: number): number {
    const soFar = this.#soFarGb.get(linkId) ?? 0;
    this.#soFarGb.set(linkId, soFar + gb);
    return egressUsd(this.#links.get(linkId)!.tariff, soFar, gb);
  }

  marginal(linkId: string): number {
    return marginalUsdPerGb(this.#links.get(linkId)!.tariff, this.#soFarGb.get(linkId) ?? 0);
  }
}

/** The link that carried most of each workload on the first day that it was seen. */
function homesOf(usage: readonly LedgerUsage[]): Map<number, string> {
  const first = new Map<number, number>();
  const sums = new Map<number, Volumes>();
  for (const u of usage) {
    const day = Math.floor(u.stepStartMs / DAY_MS);
    if (!first.has(u.workloadId)) first.set(u.workloadId, day);
    if (first.get(u.workloadId) !== day) continue;
    const volumes = sums.get(u.workloadId) ?? new Map<string, number>();
    sums.set(u.workloadId, volumes.set(u.linkId, (volumes.get(u.linkId) ?? 0) + u.octetsOut));
  }
  return new Map(
    [...sums].map(([id, volumes]) => [
      id,
      [...volumes].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0]![0],
    ]),
  );
}

/**
 * The ledger, day by day: what the traffic of the past cost where it went, what it would have cost had nothing ever
 * been moved, and what perfect foresight would have paid. Port-hours are owed in all three. Volume that no link has
 * room for counts as a violation and is billed where it was put.
 *
 * Perfect foresight fills links by the price of their next gigabyte in each step: exact within a tier; where a
 * month's volume crosses a tier's end it is an upper bound of the optimum.
 *
 * @param usage in ascending order of time; links that are not in `links` are ignored and must be none
 */
export function ledgerOf(
  links: readonly LedgerLink[],
  usage: readonly LedgerUsage[],
  stepMs: number,
): LedgerDay[] {
  const byId = new Map(links.map((link) => [link.linkId, link]));
  const known = usage.filter((u) => byId.has(u.linkId));
  const homes = homesOf(known);
  const accounts = { actual: new Account(byId), nothing: new Account(byId), perfect: new Account(byId) };
  const portUsd = links.reduce((sum, link) => sum + link.tariff.portHourUsd * 24, 0);
  const room = new Map(links.map((link) => [link.linkId, (link.capacityBps * stepMs) / 8000]));
  const days: LedgerDay[] = [];
  let at = 0;
  while (at < known.length) {
    const dayNumber = Math.floor(known[at]!.stepStartMs / DAY_MS);
    const day = new Date(dayNumber * DAY_MS).toISOString().slice(0, 10);
    for (const account of Object.values(accounts)) account.turn(day);
    const cost = { actual: portUsd, nothing: portUsd, perfect: portUsd };
    let violated = 0;
    let nothingViolated = 0;
    let octets = 0;
    while (at < known.length && Math.floor(known[at]!.stepStartMs / DAY_MS) === dayNumber) {
      const stepStart = known[at]!.stepStartMs;
      const actual: Volumes = new Map();
      const nothing: Volumes = new Map();
      let total = 0;
      for (; at < known.length && known[at]!.stepStartMs === stepStart; at += 1) {
        const { linkId, workloadId, octetsOut } = known[at]!;
        actual.set(linkId, (actual.get(linkId) ?? 0) + octetsOut);
        const home = homes.get(workloadId)!;
        nothing.set(home, (nothing.get(home) ?? 0) + octetsOut);
        total += octetsOut;
      }
      octets += total;
      const over = ([linkId, sent]: [string, number]): boolean => sent > room.get(linkId)! * (1 + 1e-9);
      if ([...actual].some(over)) violated += 1;
      if ([...nothing].some(over)) nothingViolated += 1;
      for (const [linkId, sent] of actual) cost.actual += accounts.actual.send(linkId, sent / OCTETS_PER_GB);
      for (const [linkId, sent] of nothing)
        cost.nothing += accounts.nothing.send(linkId, sent / OCTETS_PER_GB);
      cost.perfect += bestSplit(accounts.perfect, links, room, total);
    }
    days.push({
      day,
      actualUsd: cost.actual,
      doNothingUsd: cost.nothing,
      perfectUsd: cost.perfect,
      regretUsd: cost.actual - cost.perfect,
      savedUsd: cost.nothing - cost.actual,
      violationMinutes: (violated * stepMs) / MINUTE_MS,
      doNothingViolationMinutes: (nothingViolated * stepMs) / MINUTE_MS,
      gb: octets / OCTETS_PER_GB,
    });
  }
  return days;
}

function bestSplit(
  account: Account,
  links: readonly LedgerLink[],
  room: ReadonlyMap<string, number>,
  octets: number,
): number {
  const sorted = [...links].sort((a, b) => account.marginal(a.linkId) - account.marginal(b.linkId));
  let left = octets;
  let usd = 0;
  for (const [i, link] of sorted.entries()) {
    const last = i === sorted.length - 1;
    const sent = last ? left : Math.min(left, room.get(link.linkId)!);
    if (sent > 0) usd += account.send(link.linkId, sent / OCTETS_PER_GB);
    left -= sent;
    if (left <= 0) break;
  }
  return usd;
}
