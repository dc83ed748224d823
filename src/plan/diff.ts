import type { Plan } from './types.js';

/** One workload's traffic on one link in two plans, mean rate over their horizons. */
export interface PlanChange {
  readonly workloadId: number;
  readonly name: string;
  readonly linkId: string;
  readonly beforeBps: number;
  readonly afterBps: number;
}

export interface PlanDifference {
  readonly costUsd: number;
  readonly violationMinutes: number;
  readonly instanceHours: number;
  readonly changes: readonly PlanChange[];
}

/** Changes below this part of a workload's rate are the forecast's, not the plan's. */
const NEGLIGIBLE = 0.01;

const horizonMs = (plan: Plan): number => plan.periods.reduce((sum, period) => sum + period.durationMs, 0);

function meanRates(plan: Plan): Map<string, number> {
  const whole = horizonMs(plan);
  const rates = new Map<string, number>();
  for (const a of plan.allocations) {
    if (a.resource !== 'bandwidth') continue;
    const key = `${a.workloadId} ${a.target}`;
    rates.set(key, (rates.get(key) ?? 0) + (a.amount * (a.untilMs - a.fromMs)) / whole);
  }
  return rates;
}

const instanceHours = (plan: Plan): number =>
  plan.instances.reduce((sum, i) => sum + (i.count * (i.untilMs - i.fromMs)) / 3_600_000, 0);

/** What a later plan does otherwise than an earlier one, largest change first. */
export function diffPlans(before: Plan, after: Plan): PlanDifference {
  const [old, now] = [meanRates(before), meanRates(after)];
  const names = new Map(
    [...before.reasons, ...after.reasons].map((r) => [r.workloadId, r.words.split(':')[0] ?? '']),
  );
  const changes = [...new Set([...old.keys(), ...now.keys()])]
    .map((key): PlanChange => {
      const [id, linkId] = key.split(' ') as [string, string];
      const workloadId = Number(id);
      return {
        workloadId,
        name: names.get(workloadId) ?? '',
        linkId,
        beforeBps: old.get(key) ?? 0,
        afterBps: now.get(key) ?? 0,
      };
    })
    .filter((c) => Math.abs(c.afterBps - c.beforeBps) > NEGLIGIBLE * Math.max(c.afterBps, c.beforeBps))
    .sort(
      (a, b) =>
        Math.abs(b.afterBps - b.beforeBps) - Math.abs(a.afterBps - a.beforeBps) ||
        a.workloadId - b.workloadId ||
        (a.linkId < b.linkId ? -1 : 1),
    );
  return {
    costUsd: after.costUsd - before.costUsd,
    violationMinutes: after.expectedViolationMinutes - before.expectedViolationMinutes,
    instanceHours: instanceHours(after) - instanceHours(before),
    changes,
  };
}
