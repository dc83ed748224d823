import type { Journal } from './journal.js';

/**
 * One wish of a plan: from `fromMs` until `untilMs` (Unix time), a workload gets this much of a resource on a link
 * or host pool. Bandwidth: `share` of its new flows on the link (0..1), `rateBps` its ceiling there. CPU and memory:
 * `cpuCores`, `memoryBytes` of the pool.
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

/** One change, small enough to be journalled before and after. */
export interface ActuationStep {
  /** Stable within a plan: applying the same plan again makes the same ids (idempotency key). */
  readonly id: string;
  readonly action: string;
  readonly target: string;
  /** What it was and what it will be, as the journal shows it. */
  readonly before: JsonValue;
  readonly after: JsonValue;
  readonly words: string;
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export interface Preview {
  readonly actuator: string;
  readonly planId: string;
  readonly steps: readonly ActuationStep[];
  /** What the actuator cannot do of the plan, and why. */
  readonly refused: readonly { readonly allocation: DesiredAllocation; readonly reason: string }[];
}

export interface ApplyResult {
  readonly actuator: string;
  readonly planId: string;
  readonly applied: readonly ActuationStep[];
}

export interface Verification {
  readonly actuator: string;
  /** The world is as the last applied plan, or the state before any, says. */
  readonly holds: boolean;
  readonly differences: readonly string[];
}

/**
 * Something that makes a part of a plan true. `preview` changes nothing. `apply` journals the intent of each step
 * before and its result after; if a step fails, the steps before it are undone and the error is thrown. `verify`
 * compares the world with what was applied. `rollback` returns to the state before the last applied plan; without
 * one it does nothing.
 */
export interface Actuator {
  readonly name: string;
  preview(plan: ActuationPlan): Promise<Preview>;
  apply(plan: ActuationPlan, journal: Journal): Promise<ApplyResult>;
  verify(): Promise<Verification>;
  rollback(journal: Journal): Promise<void>;
}
