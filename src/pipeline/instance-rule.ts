import { setImmediate as breathe } from 'node:timers/promises';
import type { ResourceCoefficients, SeriesHistory } from '../forecast/index.js';
import {
  type CapacityDecision,
  CapacityPolicy,
  type CapacityTerms,
  firstStepFor,
  type PlanGoals,
  type PlanHosts,
  purchaseOf,
  RISK_LEVELS,
} from '../plan/index.js';
import type { WorkloadHistory } from './cycle-history.js';
import { instanceDemand, ownInstances } from './instance-demand.js';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES_PER_30_DAYS = 43_200;
/** Less history than this, in days, and no rule has anything to be judged by. */
const LEAST_DAYS = 2;
/** Days that are added before the past is replayed again. */
const ROOM_DAYS = 7;
/** Steps that are replayed before others get their turn. */
const STEPS_AT_ONCE = 50;

export interface InstanceRuleSettings {
  readonly stepMs: number;
  /** The shortest season is the day that the rule learns by. */
  readonly seasonsMs: readonly number[];
  readonly coefficients: ResourceCoefficients;
  readonly hosts: PlanHosts;
  readonly goals: PlanGoals;
}

interface Running {
  readonly policy: CapacityPolicy;
  /** From `startMs` on, with room for what comes. */
  readonly demand: Float64Array;
  readonly startMs: number;
  /** The first step that is decided at. */
  readonly first: number;
  /** Steps that are known and decided. */
  steps: number;
  /** The terms that it was begun under. */
  readonly under: string;
  decision: CapacityDecision | undefined;
}

export interface RuledInstances {
  readonly count: number;
  readonly words: string;
}

/** What renting costs and must keep, in instances and steps. */
export function termsOf({ stepMs, seasonsMs, hosts, goals }: InstanceRuleSettings): CapacityTerms {
  const { instance } = hosts;
  const stepsOf = (ms: number): number => Math.max(1, Math.ceil(ms / stepMs - 1e-9));
  const { maximumViolationMinutes, violationUsdPerMinute } = goals;
  return {
    stepsPerDay: Math.max(2, Math.round(Math.min(DAY_MS, ...seasonsMs) / stepMs)),
    ownCapacity: ownInstances(hosts),
    machineCapacity: 1,
    usdPerMachineStep: (purchaseOf({ hosts, goals }).usdPerHour * stepMs) / HOUR_MS,
    startUsd: 0,
    usdPerCarriedStep: 0,
    leadSteps: stepsOf(instance.leadMs ?? stepMs),
    holdSteps: stepsOf(instance.holdMs ?? stepMs),
    maximumViolationPercent: ((maximumViolationMinutes ?? 0) / MINUTES_PER_30_DAYS) * 100,
    // A limit that the owner named is kept; without one, minutes have their price.
    violationUsdPerStep:
      maximumViolationMinutes === undefined ? violationUsdPerMinute * (stepMs / MINUTE_MS) : undefined,
  };
}

/**
 * How many instances to rent now: the capacity rule of the simulation, fed with what the workloads needed. It replays
 * its history once and then goes on step by step; after a restart it replays what the store has.
 */
export class InstanceRule {
  #running: Running | undefined;

  /**
   * @param axis the steps that are known; its values are not used
   * @returns undefined while there is too little history to judge by
   */
  async decide(
    workloads: readonly WorkloadHistory[],
    axis: SeriesHistory,
    settings: InstanceRuleSettings,
  ): Promise<RuledInstances | undefined> {
    const terms = termsOf(settings);
    const known = instanceDemand(workloads, axis, settings.coefficients, settings.hosts);
    const running = this.#follows(axis, terms) ?? begun(known, axis, terms);
    this.#running = running;
    if (running === undefined) return undefined;
    const offset = Math.round((running.startMs - axis.startMs) / axis.stepMs);
    for (let i = 1; offset + running.steps < known.length; i += 1) {
      const t = running.steps;
      running.demand[t] = known[offset + t]!;
      if (t >= running.first) running.decision = running.policy.decide(t);
      running.steps = t + 1;
      if (i % STEPS_AT_ONCE === 0) await breathe();
    }
    const { decision } = running;
    return decision && { count: decision.machines, words: wordsOf(decision, terms, settings) };
  }

  /** The rule that runs, if it can go on: same terms, no gap, room for what is new. */
  #follows(axis: SeriesHistory, terms: CapacityTerms): Running | undefined {
    const running = this.#running;
    if (running === undefined || running.under !== JSON.stringify(terms)) return undefined;
    const nextMs = running.startMs + running.steps * axis.stepMs;
    const endMs = axis.startMs + axis.values.length * axis.stepMs;
    const fits = (endMs - running.startMs) / axis.stepMs <= running.demand.length;
    return nextMs >= axis.startMs && nextMs <= endMs && fits ? running : undefined;
  }
}

/** A rule at the beginning of what is known; it answers for itself from the end of that on. */
function begun(known: Float64Array, axis: SeriesHistory, terms: CapacityTerms): Running | undefined {
  const begin = known.findIndex((value) => value > 0);
  const steps = begin < 0 ? 0 : known.length - begin;
  if (steps < LEAST_DAYS * terms.stepsPerDay) return undefined;
  const demand = new Float64Array(steps + ROOM_DAYS * terms.stepsPerDay);
  // All of the past that is there: the nowcast learns from what precedes its first decision.
  demand.set(known.subarray(begin));
  const first = firstStepFor(steps, terms.stepsPerDay);
  return {
    policy: new CapacityPolicy(terms, demand, first, steps),
    demand,
    startMs: axis.startMs + begin * axis.stepMs,
    first,
    steps: 0,
    under: JSON.stringify(terms),
    decision: undefined,
  };
}

/** Why there are so many, for people. */
function wordsOf(
  decision: CapacityDecision,
  terms: CapacityTerms,
  { stepMs, goals }: InstanceRuleSettings,
): string {
  const level = RISK_LEVELS[decision.rule];
  const rule =
    level === undefined
      ? 'the reactive rule within bounds'
      : `ready for ${(100 * level).toFixed(2)} % of the errors that forecasts of it had`;
  const aim =
    terms.violationUsdPerStep !== undefined
      ? `cheapest so far at $${goals.violationUsdPerMinute} a violation minute`
      : decision.goalGivenUp
        ? 'keeping the violation goal would cost more than the reactive rule, so that one is to be beaten'
        : `the cheapest that kept the goal of ${goals.maximumViolationMinutes} violation minutes in 30 days`;
  const minutes = (terms.leadSteps * stepMs) / MINUTE_MS;
  return `${decision.machines} needed in ${minutes.toFixed(0)} min: ${rule}, ${aim}`;
}
