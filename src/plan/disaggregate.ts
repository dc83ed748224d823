import type { DemandClass } from './classes.js';
import type { PlanInput, WorkloadDemand } from './types.js';

/** Rates of one workload by [link][period], bit/s. */
export type WorkloadRates = readonly (readonly number[])[];

/** Rests below this part of a class's demand are rounding of the solver, not decisions. */
const NEGLIGIBLE = 1e-7;

/**
 * A class's rates by link shared out among its members. Those that are on a link already stay there while it has
 * quota, largest first; the rest fill what is left, so at most one member a link is split. The sum over links is each
 * member's own demand in every period, exactly; a deferrable class is shared out in proportion, since its members
 * move in time together.
 *
 * @param quota the class's rate by [link][period]
 */
export function disaggregate(
  input: PlanInput,
  demand: DemandClass,
  quota: readonly (readonly number[])[],
): Map<WorkloadDemand, WorkloadRates> {
  const { links, periods } = input;
  const rates = new Map<WorkloadDemand, number[][]>(
    demand.members.map((member) => [member, links.map(() => new Array<number>(periods.length).fill(0))]),
  );
  const homes = new Map(demand.members.map((member) => [member, homeOf(member, input)]));
  for (let t = 0; t < periods.length; t += 1) {
    const left = links.map((_, l) => quota[l]![t]!);
    const total = left.reduce((sum, value) => sum + value, 0);
    if (demand.deferrableMs !== undefined) {
      const volume = demand.members.map((m) => m.peakBps.reduce((sum, bps) => sum + bps, 0));
      const all = volume.reduce((sum, value) => sum + value, 0);
      for (const [i, member] of demand.members.entries()) {
        for (let l = 0; l < links.length; l += 1) {
          rates.get(member)![l]![t] = all > 0 ? (left[l]! * volume[i]!) / all : 0;
        }
      }
      continue;
    }
    const need = new Map(demand.members.map((member) => [member, member.peakBps[t]!]));
    const take = (member: WorkloadDemand, l: number, most: number): void => {
      const amount = Math.min(need.get(member)!, most);
      if (amount <= 0) return;
      rates.get(member)![l]![t]! += amount;
      need.set(member, need.get(member)! - amount);
      left[l]! -= amount;
    };
    // Members are sorted by size. Whole ones first, so that few are split.
    for (const member of demand.members) {
      const home = homes.get(member)!;
      if (need.get(member)! <= left[home]! * (1 + 1e-9)) take(member, home, Number.POSITIVE_INFINITY);
    }
    for (const member of demand.members) {
      for (let l = 0; l < links.length; l += 1) {
        if (left[l]! > NEGLIGIBLE * total) take(member, l, left[l]!);
      }
      // What rounding left over goes where the member is already, or where the class is.
      if (need.get(member)! > 0)
        take(member, busiest(rates.get(member)!, quota, t), Number.POSITIVE_INFINITY);
    }
  }
  return rates;
}

/** The link that carries most of a workload now; the first one for a workload that goes nowhere yet. */
function homeOf(member: WorkloadDemand, input: PlanInput): number {
  let home = 0;
  let most = 0;
  for (const [l, link] of input.links.entries()) {
    const share = member.currentShares[link.linkId] ?? 0;
    if (share > most) {
      most = share;
      home = l;
    }
  }
  return home;
}

function busiest(own: readonly number[][], quota: readonly (readonly number[])[], t: number): number {
  const score = (l: number): number => own[l]![t]! * 1e6 + quota[l]![t]!;
  let best = 0;
  for (let l = 1; l < own.length; l += 1) if (score(l) > score(best)) best = l;
  return best;
}
