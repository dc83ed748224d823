import { ReactiveRule } from '../capacity/reactive.js';
import { machinesFor } from '../capacity/terms.js';
import { quantileOf, termsOf, type World } from './world.js';

/** Enough for ever for a quantile of the history of `days` before the test (1 = its peak, absent = all of it). */
export function staticPolicy(world: World, quantile: number, days?: number): Int32Array {
  const from = days === undefined ? 0 : Math.max(0, world.testStart - days * world.stepsPerDay);
  const level = quantileOf(world.demandBps.subarray(from, world.testStart), quantile);
  return new Int32Array(world.demandBps.length).fill(
    machinesFor(level - world.privateCapacityBps, world.machineBps),
  );
}

/** {@link ReactiveRule} over the test; it runs in for a day before. */
export function reactivePolicy(world: World, high: number, low: number): Int32Array {
  const { demandBps, leadSteps } = world;
  const machines = new Int32Array(demandBps.length);
  const first = Math.max(0, world.testStart - world.holdSteps - world.stepsPerDay);
  const rule = new ReactiveRule(termsOf(world), high, low);
  for (let t = first; t < demandBps.length; t += 1)
    machines[t] = rule.next(demandBps[t - leadSteps] ?? demandBps[0]!, t);
  return machines;
}
