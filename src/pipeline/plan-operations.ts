import { join } from 'node:path';
import {
  type ActuateConfig,
  type ActuationPlan,
  type Actuator,
  type ApplyReport,
  FileJournal,
  FileLease,
  type JournalEntry,
  makeActuators,
  PlanApplier,
  type PlanPreview,
  planAt,
  policyOf,
  type Verification,
} from '../actuate/index.js';
import type { Component } from '../base/component.js';
import { messageOf, TidegateError } from '../base/errors.js';
import { timed } from '../base/observe.js';
import type { Plan } from '../plan/index.js';
import type { PlanGuard } from './plan-guard.js';
import { guardOf, type PlanOperationsOptions, type Surge, surgeOf } from './plan-watch.js';
import { actuationOf } from './plan-words.js';
import { insertActuations } from './records.js';
import { endpointOf } from './service-endpoint.js';
import { findPlan } from './stored-plans.js';

/** Steps of one actuator that came to one end, since the start; a plan that fails as a whole is `plan`. */
export interface ActuationCount {
  readonly actuator: string;
  readonly result: 'applied' | 'refused' | 'failed' | 'rolled-back';
  readonly count: number;
}

/** What is being done to the world, for whoever asks. */
export interface ActuationState {
  readonly mode: ActuateConfig['mode'];
  readonly actuators: readonly string[];
  /** The plan whose periods are being followed; `null` = none was applied. */
  readonly followingPlanId: string | null;
  /** Why the last attempt was refused or failed; `null` after a success. */
  readonly lastProblem: string | null;
}

/** How often the plan that is followed is looked at for a period that begins. */
const FOLLOW_EVERY_MS = 1_000;
/**
 * What may be done with plans: preview, apply, roll back. A plan that was applied is followed through its periods
 * until it expires, another one replaces it, or it is rolled back. Where all actuators are dry-run, each new plan is
 * applied to them by itself: nothing moves, and the journal tells what would have.
 */
export class PlanOperations implements Component {
  readonly #options: PlanOperationsOptions;
  readonly #now: () => number;
  readonly #journal: FileJournal;
  readonly #actuators: readonly Actuator[];
  readonly #applier: PlanApplier;
  /** Absent where nothing can move. */
  readonly #guard: PlanGuard | undefined;
  /** Absent where nothing may move by itself. */
  readonly #surge: Surge | undefined;
  /** The newest plan that was offered, applied or not: what was expected. */
  #expected: ActuationPlan | undefined;
  /** Journal lines that are on disk and not yet in the store; they go there together. */
  #unwritten: JournalEntry[] = [];
  #following: ActuationPlan | undefined;
  #followedMs = 0;
  #lastProblem: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  #busy: Promise<unknown> = Promise.resolve();
  readonly #counts = new Map<string, ActuationCount>();

  /** @throws TG_ACTUATE_CONFIG */
  constructor(options: PlanOperationsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { config, dataDirectory, gateway, links, netns, logger } = options;
    this.#journal = new FileJournal(
      join(dataDirectory, 'journal.jsonl'),
      { append: async (entry) => void this.#unwritten.push(entry) },
      logger,
    );
    this.#actuators = makeActuators(config, {
      gateway,
      links,
      endpointsOf: (workloadId) => options.endpointKeysOf(workloadId).flatMap((key) => endpointOf(key) ?? []),
      ...(netns === undefined ? {} : { netns }),
      ...(options.steering === undefined ? {} : { steering: options.steering }),
      nameOf: (workloadId) => options.names()(workloadId),
      logger,
    });
    this.#applier = new PlanApplier({
      actuators: this.#actuators,
      journal: this.#journal,
      lease: new FileLease(join(dataDirectory, 'applier.lease')),
      policy: policyOf(config),
      now: this.#now,
      logger,
    });
    this.#guard = this.#dry ? undefined : guardOf(options, this.#applier, (reason) => this.rollback(reason));
    // Where an approval is missing, it tells what it would have done: the applier refuses.
    const mayMove = config.mode === 'automatic' || config.mode === 'approve';
    this.#surge =
      this.#dry || !mayMove
        ? undefined
        : surgeOf(options, this.#now, {
            plan: () => this.#expected,
            following: () => this.#following,
            apply: (plan) => this.#apply(plan, config.surge.approved),
          });
  }

  get applier(): PlanApplier {
    return this.#applier;
  }

  get state(): ActuationState {
    return {
      mode: this.#options.config.mode,
      actuators: this.#actuators.map((actuator) => actuator.name),
      followingPlanId: this.#following?.planId ?? null,
      lastProblem: this.#lastProblem,
    };
  }

  get counts(): readonly ActuationCount[] {
    return [...this.#counts.values()];
  }

  #count(actuator: string, result: ActuationCount['result'], by: number): void {
    const key = `${actuator} ${result}`;
    const count = (this.#counts.get(key)?.count ?? 0) + by;
    this.#counts.set(key, { actuator, result, count });
  }

  get #dry(): boolean {
    return this.#options.config.actuators.every((name) => name === 'dry-run');
  }

  /** What a crash interrupted is finished or undone before anything else. @throws TG_ACTUATE_JOURNAL, _LEASE */
  async start(): Promise<void> {
    await this.#journal.open();
    const recovery = await this.#applier.recover();
    if (recovery !== 'nothing') this.#options.logger.warn({ recovery }, 'an interrupted plan was recovered');
    this.#timer = setInterval(() => void this.#follow(), FOLLOW_EVERY_MS);
    this.#timer.unref();
    await this.#guard?.start();
    await this.#surge?.watch.start();
  }

  /** What was applied stays: if Tidegate ends, traffic flows on as it is. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#surge?.watch.stop();
    await this.#surge?.rates.close();
    await this.#guard?.stop();
    await this.#busy;
    await this.keep().catch((error: unknown) =>
      this.#options.logger.warn({ reason: messageOf(error) }, 'the journal on disk is ahead of the store'),
    );
    await this.#applier.close();
    await this.#journal.close();
  }

  /** Takes a new plan: applied at once where the policy is automatic or nothing can move, else left to be asked for. */
  async offer(plan: Plan): Promise<void> {
    this.#expected = this.#actuation(plan);
    if (!this.#dry && this.#options.config.mode !== 'automatic') return;
    if (this.#options.config.mode === 'observe') return;
    try {
      await this.#apply(this.#actuation(plan), this.#dry);
    } catch (error) {
      this.#options.logger.warn({ planId: plan.id, reason: messageOf(error) }, 'plan not applied');
    }
  }

  /** What applying a plan now would change, and what speaks against it. @throws TG_PLAN_UNKNOWN, _AMBIGUOUS */
  async preview(planId: string): Promise<PlanPreview> {
    return this.#applier.preview(planAt(this.#actuation(await this.find(planId)), this.#now()));
  }

  /**
   * Applies a plan that a person approved, and follows it. @param planId its id or the beginning of it
   * @throws TG_PLAN_UNKNOWN, TG_PLAN_AMBIGUOUS, TG_ACTUATE_REFUSED, TG_ACTUATE_LEASE, TG_ACTUATE_APPLY
   */
  async apply(planId: string): Promise<ApplyReport> {
    return this.#apply(this.#actuation(await this.find(planId)), true);
  }

  /** Undoes the last plan and follows none; its id, or `undefined` when nothing was applied. */
  async rollback(reason: string): Promise<string | undefined> {
    this.#following = undefined;
    const undone = await this.#alone(() => this.#applier.rollback(reason));
    if (undone !== undefined) this.#count('plan', 'rolled-back', 1);
    return undone;
  }

  async verify(): Promise<readonly Verification[]> {
    return this.#applier.verify();
  }

  /** The newest plan of this gateway that begins with `planId`. @throws TG_PLAN_UNKNOWN, TG_PLAN_AMBIGUOUS */
  async find(planId: string): Promise<Plan> {
    return findPlan(this.#options.client(), this.#options.gateway, planId);
  }

  /** Copies to the store what the journal got since the last call. @throws what the store says; then it is kept */
  async keep(): Promise<void> {
    const entries = this.#unwritten;
    await insertActuations(this.#options.client(), this.#options.gateway, entries);
    this.#unwritten = this.#unwritten.slice(entries.length);
  }

  #actuation(plan: Plan): ActuationPlan {
    return actuationOf(plan, this.#options.names());
  }

  async #apply(plan: ActuationPlan, approved: boolean): Promise<ApplyReport> {
    return this.#alone(async () => {
      try {
        const report = await this.#applyNow(plan, approved);
        this.#following = plan;
        this.#lastProblem = null;
        return report;
      } catch (error) {
        this.#lastProblem = messageOf(error);
        throw error;
      }
    });
  }

  async #applyNow(plan: ActuationPlan, approved: boolean): Promise<ApplyReport> {
    const nowMs = this.#now();
    const now = planAt(plan, nowMs);
    const report = await timed(this.#options.observe, 'actuation_duration_seconds', () =>
      this.#applier.apply(now, approved),
    ).catch((error: unknown) => {
      const refused = error instanceof TidegateError && error.code === 'TG_ACTUATE_REFUSED';
      this.#count('plan', refused ? 'refused' : 'failed', 1);
      throw error;
    });
    for (const { actuator, applied } of report.results) this.#count(actuator, 'applied', applied.length);
    this.#followedMs = nowMs;
    if (report.results.length > 0) this.#guard?.watch();
    return report;
  }

  /** When a period of the plan has begun since the last look, what it asks for is applied too. */
  async #follow(): Promise<void> {
    const plan = this.#following;
    if (plan === undefined) return;
    const nowMs = this.#now();
    if (nowMs >= plan.expiresMs) {
      this.#following = undefined;
      return;
    }
    if (!plan.allocations.some((a) => a.fromMs > this.#followedMs && a.fromMs <= nowMs)) return;
    await this.#alone(async () => {
      if (this.#following !== plan) return;
      try {
        await this.#applyNow(plan, true);
      } catch (error) {
        this.#following = undefined;
        this.#lastProblem = messageOf(error);
        this.#options.logger.warn(
          { planId: plan.planId, reason: messageOf(error) },
          'plan no longer followed',
        );
      }
    });
  }

  /** One at a time: a period that begins waits for a rollback that is under way. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => undefined);
    return done;
  }
}
