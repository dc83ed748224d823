import { NearFuture } from '../../forecast/nowcast/bands.js';
import { HeldMachines } from '../hold.js';
import { reactivePolicy } from './baselines.js';
import { LOOK_BACKS, lookBackWishes } from './look-back.js';
import { chooseRule, type RiskRecord, type RuleChoice, StepSums } from './risk.js';
import type { World } from './world.js';

/** Risk levels: the share of realised errors that a schedule is prepared for, cheapest first. */
export const RISK_LEVELS = [
  0.9, 0.93, 0.95, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9995,
] as const;
/** Before there is a past to judge by. */
const DEFAULT_LEVEL = RISK_LEVELS.indexOf(0.985);
/** Part of the private capacity that is counted on: the rest absorbs what a step's mean hides. */
const PRIVATE_SHARE = 0.98;
/** No band reaches further above the highest demand so far: after a burst, scaled errors say what cannot be. */
const BEYOND_HIGHEST = 1.1;
/** Past by which a level is judged, and how much of it there must be. */
const JUDGED_DAYS = 20;
const LEAST_JUDGED_DAYS = 1;
const REJUDGE_HOURS = 3;
/** History before the judged past that the nowcast and its bands learn from. */
const LEARNING_DAYS = 9;

export interface PredictiveRun {
  /** Machines per step; 0 before the first decision. */
  readonly machines: Int32Array;
  /** What was said of each step `leadSteps` before it; NaN where nothing was. */
  readonly forecastBps: Float64Array;
  /** Steps of the test spent at each of {@link RISK_LEVELS}. */
  readonly levelSteps: Int32Array;
  /** Steps of the test that followed a rule that only looks back. */
  readonly lookBackSteps: number;
  /** In some steps, keeping the violation goal would have cost more than the reactive rule. */
  readonly goalGivenUpSteps: number;
}

/**
 * Tidegate's capacity rule: machines for a quantile of the demand that the next decision can still meet; those in
 * their hold stay, the rest may stop, oldest first. Beside the schedule in force, one per risk level runs on paper,
 * and one per look-back rule for demand that no forecast foresees; every three hours {@link chooseRule} picks the one
 * to go on with. Every decision uses values up to `leadSteps` before the step that it is for.
 */
export function predictivePolicy(world: World, onStep?: (done: number, of: number) => void): PredictiveRun {
  const { demandBps, leadSteps, stepsPerDay, testStart, holdSteps } = world;
  const steps = demandBps.length;
  const first = Math.max(
    Math.min(2 * stepsPerDay, Math.floor(testStart / 2)),
    testStart - Math.round((JUDGED_DAYS + LEARNING_DAYS) * stepsPerDay),
  );
  const judgedFrom = Math.min(
    testStart,
    first + Math.min(4 * stepsPerDay, Math.floor((testStart - first) / 2)),
  );
  const near = new NearFuture(demandBps, first, { horizon: leadSteps, stepsPerDay });
  const rules = RISK_LEVELS.length + LOOK_BACKS.length;
  const paper = Array.from({ length: rules }, () => ({
    held: new HeldMachines(holdSteps),
    sums: new StepSums(world),
    planned: new Int32Array(steps),
  }));
  const reactive = { machines: reactivePolicy(world, 0.5, 0.35, first), sums: new StepSums(world) };
  const own = { held: new HeldMachines(holdSteps), sums: new StepSums(world) };
  const wishes = new Int32Array(rules);
  const machines = new Int32Array(steps);
  const forecastBps = new Float64Array(steps).fill(Number.NaN);
  const levelSteps = new Int32Array(RISK_LEVELS.length);
  let choice: RuleChoice = { rule: DEFAULT_LEVEL, goalGivenUp: false };
  let goalGivenUpSteps = 0;
  let lookBackSteps = 0;
  let judgedAt = Number.NEGATIVE_INFINITY;

  let highest = demandBps.subarray(0, first).reduce((top, value) => Math.max(top, value), 0);

  for (let t = first; t + leadSteps < steps; t += 1) {
    const target = t + leadSteps;
    if (t % stepsPerDay === 0) onStep?.(t - first, steps - leadSteps - first);
    highest = Math.max(highest, demandBps[t]!);
    // Step t is measured now: every schedule learns what it would have cost.
    if (t >= judgedFrom) {
      for (const { sums, planned } of paper) sums.add(t, planned[t]!);
      reactive.sums.add(t, reactive.machines[t]!);
    }
    if (t >= testStart) own.sums.add(t, machines[t]!);
    if (
      t - judgedAt >= (REJUDGE_HOURS * stepsPerDay) / 24 &&
      t - judgedFrom >= LEAST_JUDGED_DAYS * stepsPerDay
    ) {
      const past = (sums: StepSums): RiskRecord => sums.last(JUDGED_DAYS * stepsPerDay);
      const records = paper.map(({ sums }) => past(sums));
      const ownPast = past(own.sums);
      choice = chooseRule(world, {
        levels: records.slice(0, RISK_LEVELS.length),
        lookBacks: records.slice(RISK_LEVELS.length),
        reactive: past(reactive.sums),
        own: ownPast,
        ownReactive: reactive.sums.last(ownPast.steps),
      });
      judgedAt = t;
    }
    const { forecast, scale } = near.at(t);
    forecastBps[target] = forecast;
    const wished = (tau: number): number => {
      const ready = Math.min(forecast + scale * near.quantile(tau), BEYOND_HIGHEST * highest);
      const over = ready - PRIVATE_SHARE * world.privateCapacityBps;
      return Math.max(0, Math.ceil(over / world.machineBps));
    };
    wishes.set(RISK_LEVELS.map(wished));
    wishes.set(lookBackWishes(world, t), RISK_LEVELS.length);
    for (const [i, { planned, held }] of paper.entries()) planned[target] = held.next(wishes[i]!, target);
    const wish = wishes[choice.rule]!;
    const bound = reactive.machines[target]!;
    machines[target] = own.held.next(
      choice.bound === 'floor'
        ? Math.max(wish, bound)
        : choice.bound === 'ceiling'
          ? Math.min(wish, bound)
          : wish,
      target,
    );
    if (target < testStart) continue;
    if (choice.goalGivenUp) goalGivenUpSteps += 1;
    if (choice.rule >= RISK_LEVELS.length) lookBackSteps += 1;
    else levelSteps[choice.rule]! += 1;
  }
  return { machines, forecastBps, levelSteps, lookBackSteps, goalGivenUpSteps };
}
