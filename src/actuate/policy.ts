import type { ActuationPlan, ActuationStep, Preview } from './actuator.js';
import type { JournalEntry } from './journal.js';

/** A daily window, `HH:MM` UTC; one that ends before it begins goes over midnight. */
export interface BlackoutWindow {
  readonly from: string;
  readonly until: string;
}

/** What the operator allows. */
export interface Policy {
  /** `observe`: nothing is ever applied. `recommend`, `approve`: only what a person asks for. `automatic`: all. */
  readonly mode: 'observe' | 'recommend' | 'approve' | 'automatic';
  readonly maxChangesPerHour: number;
  /** Largest part of a workload's new flows that one plan may move to other links, 0..1. */
  readonly maxShareMoved: number;
  readonly blackout: readonly BlackoutWindow[];
  /** Names of workloads that never move. */
  readonly pinned: readonly string[];
}

const HOUR_MS = 3_600_000;

const minutesOf = (clock: string): number => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3, 5));

export function inBlackout(windows: readonly BlackoutWindow[], atMs: number): BlackoutWindow | undefined {
  const minute = Math.floor(atMs / 60_000) % 1440;
  return windows.find(({ from, until }) => {
    const [begin, end] = [minutesOf(from), minutesOf(until)];
    return begin <= end ? begin <= minute && minute < end : minute >= begin || minute < end;
  });
}

/** The plan without what concerns pinned workloads. */
export const withoutPinned = (plan: ActuationPlan, pinned: readonly string[]): ActuationPlan => ({
  ...plan,
  allocations: plan.allocations.filter((a) => !pinned.includes(a.workloadName)),
});

const weightsIn = (value: unknown): Record<string, number> | undefined =>
  typeof value === 'object' && value !== null && Object.values(value).every((v) => typeof v === 'number')
    ? (value as Record<string, number>)
    : undefined;

/** The part of new flows that a change of weights moves to other links; 0 for other steps and first settings. */
export function shareMoved(step: ActuationStep): number {
  const before = weightsIn(step.before);
  const after = weightsIn(step.after);
  if (step.action !== 'weights' || before === undefined || after === undefined) return 0;
  const total = (w: Record<string, number>): number => Object.values(w).reduce((sum, n) => sum + n, 0);
  const [b, a] = [total(before), total(after)];
  const links = new Set([...Object.keys(before), ...Object.keys(after)]);
  return (
    [...links].reduce((sum, link) => sum + Math.abs((after[link] ?? 0) / a - (before[link] ?? 0) / b), 0) / 2
  );
}

/** Every reason against applying a plan now; none = it may be applied. */
export function reasonsAgainst(
  policy: Policy,
  plan: ActuationPlan,
  previews: readonly Preview[],
  journal: readonly JournalEntry[],
  approved: boolean,
  nowMs: number,
): string[] {
  const reasons: string[] = [];
  if (policy.mode === 'observe') reasons.push('the policy is to observe only');
  else if (policy.mode !== 'automatic' && !approved)
    reasons.push(`the policy "${policy.mode}" asks for an approval`);
  if (nowMs >= plan.expiresMs) reasons.push(`it expired at ${new Date(plan.expiresMs).toISOString()}`);
  const window = inBlackout(policy.blackout, nowMs);
  if (window) reasons.push(`it is in the blackout from ${window.from} until ${window.until} UTC`);
  const steps = previews.flatMap((preview) => preview.steps);
  const recent = journal.filter((e) => e.event === 'applied' && e.atMs > nowMs - HOUR_MS).length;
  if (recent + steps.length > policy.maxChangesPerHour)
    reasons.push(
      `${steps.length} changes after ${recent} in the last hour are more than the ${policy.maxChangesPerHour} allowed`,
    );
  for (const step of steps) {
    const moved = shareMoved(step);
    if (moved > policy.maxShareMoved + 1e-9)
      reasons.push(
        `"${step.words}" moves ${Math.round(moved * 100)} % at once, allowed are ${Math.round(policy.maxShareMoved * 100)} %`,
      );
  }
  return reasons;
}
