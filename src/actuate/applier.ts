import type { Logger } from '../base/logger.js';
import type {
  ActuationPlan,
  Actuator,
  ApplyResult,
  Preview,
  Recovery,
  Refusal,
  Verification,
} from './actuator.js';
import { actuateError } from './errors.js';
import { type Journal, type JournalEvent, type JournalledPlan, journalledPlans } from './journal.js';
import type { FileLease } from './lease.js';
import { type Policy, reasonsAgainst, withoutPinned } from './policy.js';

export interface ApplierOptions {
  /** In the order in which they act; undone the other way round. */
  readonly actuators: readonly Actuator[];
  readonly journal: Journal;
  readonly lease: FileLease;
  readonly policy: Policy;
  readonly now?: () => number;
  readonly logger?: Logger;
}

export interface PlanPreview {
  readonly planId: string;
  readonly previews: readonly Preview[];
  /** Why it would be refused now, were it approved. */
  readonly reasons: readonly string[];
}

export interface ApplyReport {
  readonly planId: string;
  readonly results: readonly ApplyResult[];
  /** What of the plan could not be done, and why; the rest was. */
  readonly refused: readonly PlanRefusal[];
}

export interface PlanRefusal extends Refusal {
  readonly actuator: string;
}

/** What the actuators cannot do of a plan. */
export const refusalsIn = (previews: readonly Preview[]): PlanRefusal[] =>
  previews.flatMap(({ actuator, refused }) => refused.map((refusal) => ({ ...refusal, actuator })));

/** The journal's name for a plan as a whole. */
const WHOLE = 'plan';

/**
 * Applies plans through all actuators, one plan at a time on this host: all of a plan, or none of it. Call `recover`
 * once before anything else: what a crash interrupted is finished if it was complete, else undone.
 */
export class PlanApplier {
  readonly #options: ApplierOptions;
  readonly #now: () => number;
  #holdUntilMs = 0;
  #holdReason = '';

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async preview(plan: ActuationPlan): Promise<PlanPreview> {
    const { policy, actuators, journal } = this.#options;
    const allowed = withoutPinned(plan, policy.pinned);
    const previews: Preview[] = [];
    for (const actuator of actuators) previews.push(await actuator.preview(allowed));
    const reasons = reasonsAgainst(policy, plan, previews, await journal.entries(), true, this.#now());
    return { planId: plan.planId, previews, reasons };
  }

  /**
   * @param approved a person said yes to this plan
   * @throws TG_ACTUATE_REFUSED by policy or hold-off, TG_ACTUATE_LEASE, TG_ACTUATE_APPLY after undoing everything
   */
  async apply(plan: ActuationPlan, approved = false): Promise<ApplyReport> {
    return this.#options.lease.hold(async () => {
      const { policy, actuators, journal, logger } = this.#options;
      const { planId } = plan;
      const allowed = withoutPinned(plan, policy.pinned);
      const previews: Preview[] = [];
      for (const actuator of actuators) previews.push(await actuator.preview(allowed));
      const reasons = reasonsAgainst(policy, plan, previews, await journal.entries(), approved, this.#now());
      const last = await this.#last();
      if (last !== undefined && last.state !== 'committed')
        reasons.push(`plan ${last.planId} was interrupted and is not recovered yet`);
      if (this.#now() < this.#holdUntilMs)
        reasons.push(`held off until ${new Date(this.#holdUntilMs).toISOString()} (${this.#holdReason})`);
      const refused = refusalsIn(previews);
      const undoable = new Set(refused.map(({ allocation }) => allocation));
      if (undoable.size > 0 && undoable.size === allowed.allocations.length)
        reasons.push(...new Set(refused.map((r) => `${r.allocation.workloadName}: ${r.reason}`)));
      if (reasons.length > 0)
        throw actuateError('TG_ACTUATE_REFUSED', { planId, reasons: reasons.join('; ') });
      const acting = actuators.filter((_, i) => previews[i]!.steps.length > 0);
      for (const { actuator, allocation, reason } of refused)
        logger?.warn({ planId, actuator, workload: allocation.workloadName, reason }, 'not done of the plan');
      if (acting.length === 0) return { planId, results: [], refused };
      await this.#note(planId, 'begin', acting.length, acting.map((a) => a.name).join(','));
      const results: ApplyResult[] = [];
      try {
        for (const actuator of acting) results.push(await actuator.apply(allowed, journal));
      } catch (error) {
        // The first error is the one to tell; what cannot be undone now is left to `recover` by the journal.
        await this.#undoLast().catch((left: unknown) =>
          logger?.error({ err: left, planId }, 'plan not undone'),
        );
        throw error;
      }
      await this.#note(planId, 'committed', null, '');
      logger?.info({ planId, steps: results.flatMap((r) => r.applied).map((s) => s.words) }, 'plan applied');
      return { planId, results, refused };
    });
  }

  /**
   * Undoes the last plan that is not undone yet, all periods of it that were applied: the world is as it was before
   * the plan. Its id, or undefined when there is none.
   */
  async rollback(reason = 'asked for'): Promise<string | undefined> {
    return this.#options.lease.hold(async () => {
      const last = await this.#last();
      if (last === undefined) return undefined;
      while ((await this.#last())?.planId === last.planId) await this.#undoLast();
      this.#options.logger?.warn({ planId: last.planId, reason }, 'plan rolled back');
      return last.planId;
    });
  }

  /** No plan is applied for a while, whoever asks. */
  holdOff(durationMs: number, reason: string): void {
    this.#holdUntilMs = this.#now() + durationMs;
    this.#holdReason = reason;
  }

  /** Finishes or undoes what a crash interrupted. */
  async recover(): Promise<Recovery> {
    return this.#options.lease.hold(async () => {
      const { actuators, journal } = this.#options;
      for (const actuator of actuators) await actuator.recover(journal);
      const last = await this.#last();
      if (last === undefined || last.state === 'committed') return 'nothing';
      const entries = await journal.entries();
      const complete = actuators.filter((actuator) => {
        const plan = journalledPlans(entries, actuator.name).findLast((p) => p.state !== 'rolled-back');
        return plan?.state === 'committed' && plan.beganAt > last.beganAt;
      });
      if (last.state === 'begun' && complete.length >= last.stepCount) {
        await this.#note(last.planId, 'committed', null, 'complete before the crash');
        return 'committed';
      }
      await this.#undoLast();
      return 'rolled-back';
    });
  }

  /** Whether the world is as the actuators left it. */
  async verify(): Promise<readonly Verification[]> {
    return Promise.all(this.#options.actuators.map((actuator) => actuator.verify()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#options.actuators.map((actuator) => actuator.close()));
  }

  async #last(): Promise<JournalledPlan | undefined> {
    const entries = await this.#options.journal.entries();
    return journalledPlans(entries, WHOLE).findLast((plan) => plan.state !== 'rolled-back');
  }

  /** Undoes what was done since the last plan, or the last period of one, began. */
  async #undoLast(): Promise<void> {
    const { actuators, journal } = this.#options;
    const last = await this.#last();
    if (last === undefined) return;
    await this.#note(last.planId, 'rollback-begin', null, '');
    for (const actuator of [...actuators].reverse()) {
      const plans = journalledPlans(await journal.entries(), actuator.name);
      const own = plans.findLast((plan) => plan.state !== 'rolled-back');
      // What an actuator did in an earlier period stays when it had no part in this one.
      if (own !== undefined && own.beganAt > last.beganAt) await actuator.rollback(journal);
    }
    await this.#note(last.planId, 'plan-rolled-back', null, '');
  }

  #note(planId: string, event: JournalEvent, after: number | null, words: string): Promise<void> {
    const entry = { planId, event, after, words, actuator: WHOLE, stepId: '', target: '', before: null };
    return this.#options.journal.append({ ...entry, atMs: this.#now() });
  }
}
