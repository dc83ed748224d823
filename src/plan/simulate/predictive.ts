import { CapacityPolicy, firstStepFor } from '../capacity/policy.js';
import { RISK_LEVELS } from '../capacity/rules.js';
import { termsOf, type World } from './world.js';

export interface PredictiveRun {
  /** Machines per step; 0 before the first decision. */
  readonly machines: Int32Array;
  /** What was said of each step `leadSteps` before it; NaN where nothing was. */
  readonly forecastBps: Float64Array;
  /** Steps of the test spent at each of {@link RISK_LEVELS}. */
  readonly levelSteps: Int32Array;
  /** Steps of the test that followed the reactive rule within bounds. */
  readonly boundedSteps: number;
  /** In some steps, keeping the violation goal would have cost more than the reactive rule. */
  readonly goalGivenUpSteps: number;
}

/** A demand met by Tidegate's capacity rule: {@link CapacityPolicy}, decided in every step from the past only. */
export function predictivePolicy(world: World, onStep?: (done: number, of: number) => void): PredictiveRun {
  const { demandBps, leadSteps, stepsPerDay, testStart } = world;
  const steps = demandBps.length;
  const first = firstStepFor(testStart, stepsPerDay);
  const policy = new CapacityPolicy(termsOf(world), demandBps, first, testStart);
  const machines = new Int32Array(steps);
  const forecastBps = new Float64Array(steps).fill(Number.NaN);
  const levelSteps = new Int32Array(RISK_LEVELS.length);
  let goalGivenUpSteps = 0;
  let boundedSteps = 0;
  for (let t = first; t + leadSteps < steps; t += 1) {
    if (t % stepsPerDay === 0) onStep?.(t - first, steps - leadSteps - first);
    const decision = policy.decide(t);
    machines[decision.target] = decision.machines;
    forecastBps[decision.target] = decision.forecast;
    if (decision.target < testStart) continue;
    if (decision.goalGivenUp) goalGivenUpSteps += 1;
    if (decision.rule >= RISK_LEVELS.length) boundedSteps += 1;
    else levelSteps[decision.rule]! += 1;
  }
  return { machines, forecastBps, levelSteps, boundedSteps, goalGivenUpSteps };
}
