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
  const { members } = demand;
  if (members.length === 1 && demand.deferrableMs !== undefined) return new Map([[members[0]!, quota]]);
  const links = input.links.length;
  const periods = input.periods.length;
  const rates = members.map(() => quota.map(() => new Array<number>(periods).fill(0)));
  if (demand.deferrableMs !== undefined) inProportion(demand, quota, rates);
  else {
    const homes = members.map((member) => homeOf(member, input));
    const left = new Float64Array(links);
    const need = new Float64Array(members.length);
    for (let t = 0; t < periods; t += 1) {
      for (let l = 0; l < links; l += 1) left[l] = quota[l]![t]!;
      for (let m = 0; m < members.length; m += 1) need[m] = members[m]!.peakBps[t]!;
      shareOut(t, homes, left, need, rates, quota);
    }
  }
  return new Map(members.map((member, m) => [member, rates[m]!]));
}

/** One period: whole members stay at home, the rest fill what is left. Members are sorted by size. */
function shareOut(
  t: number,
  homes: readonly number[],
  left: Float64Array,
  need: Float64Array,
  rates: readonly number[][][],
  quota: readonly (readonly number[])[],
): void {
  const total = left.reduce((sum, value) => sum + value, 0);
  const take = (m: number, l: number, amount: number): void => {
    rates[m]![l]![t]! += amount;
    need[m]! -= amount;
    left[l]! -= amount;
  };
  for (let m = 0; m < need.length; m += 1) {
    const home = homes[m]!;
    if (need[m]! > 0 && need[m]! <= left[home]! * (1 + 1e-9)) take(m, home, need[m]!);
  }
  for (let m = 0; m < need.length; m += 1) {
    for (let l = 0; l < left.length && need[m]! > 0; l += 1) {
      if (left[l]! > NEGLIGIBLE * total) take(m, l, Math.min(need[m]!, left[l]!));
    }
    // What rounding left over goes where the member is already, or where the class is.
    if (need[m]! > 0) take(m, busiest(rates[m]!, quota, t), need[m]!);
  }
}

function inProportion(
  demand: DemandClass,
  quota: readonly (readonly number[])[],
  rates: readonly number[][][],
): void {
  const volume = demand.members.map((m) => m.peakBps.reduce((sum, bps) => sum + bps, 0));
  const all = volume.reduce((sum, value) => sum + value, 0);
  if (all === 0) return;
  for (const [m, byLink] of rates.entries()) {
    for (const [l, byPeriod] of byLink.entries()) {
      for (let t = 0; t < byPeriod.length; t += 1) byPeriod[t] = (quota[l]![t]! * volume[m]!) / all;
    }
  }
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
