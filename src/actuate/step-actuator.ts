import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/errors.js';
import type {
  ActuationPlan,
  ActuationStep,
  Actuator,
  ApplyResult,
  Change,
  JsonValue,
  Preview,
  Recovery,
  Refusal,
  Verification,
} from './actuator.js';
import { actuateError } from './errors.js';
import { type Journal, type JournalEntry, type JournalEvent, journalledPlans } from './journal.js';

/** Key order does not matter; the same words in another order are the same setting. */
const canonical = (value: JsonValue): string =>
  JSON.stringify(value, (_key, v: unknown) =>
    v !== null && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  );

/** Names a change within a plan. */
export const stepId = (planId: string, actuator: string, change: Change): string =>
  createHash('sha256')
    .update([planId, actuator, change.action, change.target, canonical(change.after)].join('\0'))
    .digest('hex')
    .slice(0, 16);

/**
 * The idempotency key of a step: the same over retries and crashes, another one when the plan is applied again after
 * it was undone, or a receiver would take that for what it has done already.
 */
function keyOf(entries: readonly JournalEntry[], actuator: string, id: string): string {
  const undone = entries.filter(
    (e) => e.actuator === actuator && e.stepId === id && e.event === 'rolled-back',
  ).length;
  return undone === 0 ? id : `${id}-${undone + 1}`;
}

/**
 * An actuator whose world is a set of named settings that can be read and set to a value, any number of times.
 * Journalling, undoing and crash recovery follow from that: undoing a step is setting what it was before.
 */
export abstract class StepActuator implements Actuator {
  abstract readonly name: string;
  readonly #expected = new Map<string, JsonValue>();

  constructor(protected readonly now: () => number = Date.now) {}

  /** The settings that a plan wants, whether or not they differ from what is, and what cannot be done of it. */
  protected abstract propose(
    plan: ActuationPlan,
  ): Promise<{ readonly changes: readonly Change[]; readonly refused: readonly Refusal[] }>;
  /** The value of a setting now; `null` when it does not exist. */
  protected abstract read(target: string): Promise<JsonValue>;
  /** Makes a setting have a value; `null` removes it. Idempotent: `key` is the same when it is tried again. */
  protected abstract write(target: string, value: JsonValue, key: string): Promise<void>;

  async close(): Promise<void> {}

  async preview(plan: ActuationPlan): Promise<Preview> {
    const { changes, refused } = await this.propose(plan);
    const steps: ActuationStep[] = [];
    for (const change of changes) {
      const before = await this.read(change.target);
      if (!isDeepStrictEqual(before, change.after))
        steps.push({ ...change, before, id: stepId(plan.planId, this.name, change) });
    }
    return { actuator: this.name, planId: plan.planId, steps, refused };
  }

  async apply(plan: ActuationPlan, journal: Journal): Promise<ApplyResult> {
    const { steps } = await this.preview(plan);
    const { planId } = plan;
    if (steps.length === 0) return { actuator: this.name, planId, applied: [] };
    const earlier = await journal.entries();
    await this.#note(journal, planId, 'begin', { after: steps.length, words: `${steps.length} changes` });
    for (const step of steps) {
      await this.#note(journal, planId, 'intent', step);
      try {
        await this.write(step.target, step.after, keyOf(earlier, this.name, step.id));
      } catch (cause) {
        await this.#note(journal, planId, 'failed', { ...step, words: messageOf(cause) });
        // What cannot be undone now stays open in the journal: recovery goes on with it.
        const open = await this.rollback(journal).then(
          () => '',
          (error: unknown) => `; undoing it failed too: ${messageOf(error)}`,
        );
        throw actuateError(
          'TG_ACTUATE_APPLY',
          { actuator: this.name, step: step.words, reason: `${messageOf(cause)}${open}` },
          cause,
        );
      }
      this.#expected.set(step.target, step.after);
      await this.#note(journal, planId, 'applied', step);
    }
    await this.#note(journal, planId, 'committed', { words: '' });
    return { actuator: this.name, planId, applied: steps };
  }

  async verify(): Promise<Verification> {
    const differences: string[] = [];
    for (const [target, expected] of this.#expected) {
      const found = await this.read(target);
      if (!isDeepStrictEqual(found, expected))
        differences.push(`${target}: expected ${canonical(expected)}, found ${canonical(found)}`);
    }
    return { actuator: this.name, holds: differences.length === 0, differences };
  }

  async rollback(journal: Journal): Promise<void> {
    const earlier = await journal.entries();
    const plans = journalledPlans(earlier, this.name);
    const last = plans.findLast((plan) => plan.state !== 'rolled-back');
    if (last === undefined) return;
    // From here on a crash is followed by more undoing, never by taking the plan as complete.
    if (last.state !== 'undoing') await this.#note(journal, last.planId, 'rollback-begin', { words: '' });
    // A step that was only intended may have taken effect: it is undone too, which does no harm if it had not.
    for (const entry of [...last.open].reverse()) {
      await this.write(entry.target, entry.before, `${keyOf(earlier, this.name, entry.stepId)}-undo`);
      this.#expected.set(entry.target, entry.before);
      await this.#note(journal, last.planId, 'rolled-back', {
        ...entry,
        id: entry.stepId,
        after: entry.before,
      });
    }
    await this.#note(journal, last.planId, 'plan-rolled-back', { words: '' });
  }

  async recover(journal: Journal): Promise<Recovery> {
    const last = journalledPlans(await journal.entries(), this.name).findLast(
      (p) => p.state !== 'rolled-back',
    );
    if (last === undefined || last.state === 'committed') return 'nothing';
    if (last.state === 'undoing' || last.applied < last.stepCount) {
      await this.rollback(journal);
      return 'rolled-back';
    }
    for (const entry of last.open) this.#expected.set(entry.target, entry.after);
    await this.#note(journal, last.planId, 'committed', { words: 'complete before the crash' });
    return 'committed';
  }

  async #note(
    journal: Journal,
    planId: string,
    event: JournalEvent,
    step: Partial<ActuationStep> & { readonly words: string },
  ): Promise<void> {
    const entry: JournalEntry = {
      atMs: this.now(),
      planId,
      actuator: this.name,
      stepId: step.id ?? '',
      event,
      target: step.target ?? '',
      before: step.before ?? null,
      after: step.after ?? null,
      words: step.words,
    };
    await journal.append(entry);
  }
}
