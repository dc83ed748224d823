import type { JsonValue } from './actuator.js';

/**
 * `begin` … `committed` enclose a plan; each step is an `intent`, then `applied` or `failed`; what is undone is
 * `rolled-back` step by step between `rollback-begin` and `plan-rolled-back`.
 */
export type JournalEvent =
  | 'begin'
  | 'intent'
  | 'applied'
  | 'failed'
  | 'committed'
  | 'rollback-begin'
  | 'rolled-back'
  | 'plan-rolled-back';

/** One line of the journal: who meant to do or did what, for which plan. */
export interface JournalEntry {
  readonly atMs: number;
  readonly planId: string;
  readonly actuator: string;
  /** Step id; empty for entries about a whole plan. */
  readonly stepId: string;
  readonly event: JournalEvent;
  readonly target: string;
  readonly before: JsonValue;
  /** For `begin`: how many steps the plan has. */
  readonly after: JsonValue;
  readonly words: string;
}

/** Append-only. `append` resolves when the entry would survive a crash. */
export interface Journal {
  append(entry: JournalEntry): Promise<void>;
  /** Every entry so far, oldest first. */
  entries(): Promise<readonly JournalEntry[]>;
}

/** A place that keeps a copy of the journal, such as ClickHouse's `actuations` table. */
export interface JournalMirror {
  append(entry: JournalEntry): Promise<void>;
}

/** A plan as an actuator's part of the journal tells it. */
export interface JournalledPlan {
  readonly planId: string;
  /** Place of its `begin` among the entries. A plan that is followed begins once a period. */
  readonly beganAt: number;
  readonly stepCount: number;
  /** Steps that were intended, whether or not they took effect, and are not rolled back; oldest first. */
  readonly open: readonly JournalEntry[];
  readonly applied: number;
  readonly state: 'begun' | 'committed' | 'undoing' | 'rolled-back';
}

/** The plans of one actuator, oldest first. The same plan may have been applied several times. */
export function journalledPlans(
  entries: readonly JournalEntry[],
  actuator: string,
): readonly JournalledPlan[] {
  const plans: {
    planId: string;
    beganAt: number;
    stepCount: number;
    open: JournalEntry[];
    applied: number;
    state: JournalledPlan['state'];
  }[] = [];
  for (const [beganAt, entry] of entries.entries()) {
    if (entry.actuator !== actuator) continue;
    if (entry.event === 'begin') {
      const stepCount = Number(entry.after);
      plans.push({ planId: entry.planId, beganAt, stepCount, open: [], applied: 0, state: 'begun' });
      continue;
    }
    const plan = plans.findLast((p) => p.planId === entry.planId && p.state !== 'rolled-back');
    if (plan === undefined) continue;
    if (entry.event === 'intent') plan.open.push(entry);
    else if (entry.event === 'applied') plan.applied += 1;
    else if (entry.event === 'rolled-back') plan.open = plan.open.filter((e) => e.stepId !== entry.stepId);
    else if (entry.event === 'committed') plan.state = 'committed';
    else if (entry.event === 'rollback-begin') plan.state = 'undoing';
    else if (entry.event === 'plan-rolled-back') plan.state = 'rolled-back';
  }
  return plans;
}
