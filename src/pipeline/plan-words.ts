import type { ActuationPlan, DesiredAllocation } from '../actuate/index.js';
import { formatRate } from '../base/units.js';
import type { Plan } from '../plan/index.js';
import type { PlannedChange } from './status.js';

type NameOf = (workloadId: number) => string;

/** A plan as actuators take it: who gets how much of what, where and when. */
export function actuationOf(plan: Plan, nameOf: NameOf): ActuationPlan {
  const totals = new Map<string, number>();
  for (const a of plan.allocations) {
    if (a.resource !== 'bandwidth') continue;
    const key = `${a.workloadId}/${a.fromMs}`;
    totals.set(key, (totals.get(key) ?? 0) + a.amount);
  }
  const allocations = plan.allocations.map((a): DesiredAllocation => {
    const base = {
      workloadId: a.workloadId,
      workloadName: nameOf(a.workloadId),
      resource: a.resource,
      target: a.target,
      fromMs: a.fromMs,
      untilMs: a.untilMs,
    };
    if (a.resource === 'cpu') return { ...base, cpuCores: a.amount };
    if (a.resource === 'memory') return { ...base, memoryBytes: a.amount };
    const total = totals.get(`${a.workloadId}/${a.fromMs}`) ?? a.amount;
    return { ...base, rateBps: a.amount, share: total > 0 ? a.amount / total : 1 };
  });
  return { planId: plan.id, createdMs: plan.createdMs, expiresMs: plan.expiresMs, allocations };
}

/** Share of a workload's bandwidth by link in one period. */
function sharesIn(plan: Plan, fromMs: number): Map<number, Map<string, number>> {
  const shares = new Map<number, Map<string, number>>();
  for (const a of plan.allocations) {
    if (a.resource !== 'bandwidth' || a.fromMs !== fromMs) continue;
    const of = shares.get(a.workloadId) ?? new Map<string, number>();
    shares.set(a.workloadId, of.set(a.target, a.amount));
  }
  return shares;
}

const mainLink = (links: ReadonlyMap<string, number> | undefined): readonly [string, number] | undefined =>
  links === undefined ? undefined : [...links].sort((a, b) => b[1] - a[1])[0];

/** The first thing that a plan changes after `nowMs`: a workload's main link, or the number of instances. */
export function nextChange(plan: Plan, nowMs: number, nameOf: NameOf): PlannedChange | null {
  for (let i = 1; i < plan.periods.length; i += 1) {
    const at = plan.periods[i]!.startMs;
    if (at < nowMs) continue;
    const before = sharesIn(plan, plan.periods[i - 1]!.startMs);
    const moves = [...sharesIn(plan, at)]
      .map(([workloadId, links]) => ({
        workloadId,
        main: mainLink(links),
        was: mainLink(before.get(workloadId)),
      }))
      .filter(({ main, was }) => main !== undefined && was !== undefined && main[0] !== was[0])
      .sort((a, b) => b.main![1] - a.main![1]);
    // Several may move at once: the busiest is the one to know of.
    const [first] = moves;
    if (first) {
      const [to, rateBps] = first.main!;
      const others = moves.length > 1 ? `, and ${moves.length - 1} more` : '';
      return {
        atMs: at,
        words: `${nameOf(first.workloadId)} moves from ${first.was![0]} to ${to}, up to ${formatRate(rateBps)}${others}`,
      };
    }
    const count = plan.instances[i]?.count ?? 0;
    const had = plan.instances[i - 1]?.count ?? 0;
    if (count !== had) {
      const change = count > had ? `start ${count - had}` : `stop ${had - count}`;
      return { atMs: at, words: `${change} × ${plan.instances[i]!.instanceId}` };
    }
  }
  return null;
}
