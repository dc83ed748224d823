import type { Journal } from './journal.js';

/**
 * One wish of a plan: from `fromMs` until `untilMs` (Unix time), a workload gets this much of a resource on a link
 * or host pool. Bandwidth: `share` of its new flows on the link (0..1) and/or `rateBps`, its ceiling there. CPU and
 * memory: `cpuCores`, `memoryBytes` of the pool.
 */
export interface DesiredAllocation {
  readonly workloadId: number;
  readonly workloadName: string;
  readonly resource: 'bandwidth' | 'cpu' | 'memory';
  /** Link id for bandwidth, host pool otherwise. */
  readonly target: string;
  readonly share?: number;
  readonly rateBps?: number;
  readonly cpuCores?: number;
  readonly memoryBytes?: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What an actuator is asked to bring about; the planner's plan is reduced to this. */
export interface ActuationPlan {
  readonly planId: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly allocations: readonly DesiredAllocation[];
}

/** The part of a plan that holds at a moment. */
export const planAt = (plan: ActuationPlan, atMs: number): ActuationPlan => ({
  ...plan,
  allocations: plan.allocations.filter((a) => a.fromMs <= atMs && atMs < a.untilMs),
});

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** A setting that a plan wants to change. */
export interface Change {
  readonly action: string;
  /** Names the setting within the actuator, e.g. `public-a/backup`. */
  readonly target: string;
  readonly after: JsonValue;
  readonly words: string;
}

/** One change, small enough to be journalled before and after. */
export interface ActuationStep extends Change {
  /** Stable within a plan: applying the same plan again makes the same ids. */
  readonly id: string;
  /** What it was; `null` when the setting did not exist. */
  readonly before: JsonValue;
}

export interface Refusal {
  readonly allocation: DesiredAllocation;
  readonly reason: string;
}

export interface Preview {
  readonly actuator: string;
  readonly planId: string;
  readonly steps: readonly ActuationStep[];
  /** What the actuator cannot do of the plan, and why. What is none of its business is not listed. */
  readonly refused: readonly Refusal[];
}

export interface ApplyResult {
  readonly actuator: string;
  readonly planId: string;
  readonly applied: readonly ActuationStep[];
}

export interface Verification {
  readonly actuator: string;
  /** Everything this process applied or rolled back is as it was left. */
  readonly holds: boolean;
  readonly differences: readonly string[];
}

/** What recovery found and did: a plan that was complete is committed, one that was not is rolled back. */
export type Recovery = 'nothing' | 'committed' | 'rolled-back';

/**
 * Something that makes a part of a plan true. `preview` changes nothing. `apply` journals the intent of each step
 * before and its result after; if a step fails, the steps before it are undone and the error is thrown. `verify`
 * compares the world with what was left behind. `rollback` returns to the state before the last applied plan that is
 * not rolled back yet, as the journal says; with none it does nothing. `recover`, called once after a start, finishes
 * what a crash interrupted.
 */
export interface Actuator {
  readonly name: string;
  preview(plan: ActuationPlan): Promise<Preview>;
  /** @throws TG_ACTUATE_APPLY */
  apply(plan: ActuationPlan, journal: Journal): Promise<ApplyResult>;
  verify(): Promise<Verification>;
  rollback(journal: Journal): Promise<void>;
  recover(journal: Journal): Promise<Recovery>;
  /** Gives back child processes and sockets; what was applied stays. */
  close(): Promise<void>;
}
