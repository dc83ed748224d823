import { HeldMachines } from '../hold.js';
import { machinesFor, quantileOf, type World } from './world.js';

/** Enough for ever for a quantile of the history of `days` before the test (1 = its peak, absent = all of it). */
export function staticPolicy(world: World, quantile: number, days?: number): Int32Array {
  const from = days === undefined ? 0 : Math.max(0, world.testStart - days * world.stepsPerDay);
  const level = quantileOf(world.demandBps.subarray(from, world.testStart), quantile);
  return new Int32Array(world.demandBps.length).fill(
    machinesFor(level - world.privateCapacityBps, world.machineBps),
  );
}

/**
 * The usual threshold rule, on the last measured value: grow when the machines are used above `high`, shrink when
 * below `low`, each time to the number that brings the use to `high`; same lead time and hold as everyone.
 * One machine always stands by: a rule that starts its first machine when the private side is already full violates
 * its goal in every rise, and would be too easy to beat.
 *
 * @param from the first step that is looked at; the rule runs in for a day before
 */
export function reactivePolicy(world: World, high: number, low: number, from = world.testStart): Int32Array {
  const { demandBps, leadSteps } = world;
  const machines = new Int32Array(demandBps.length);
  const first = Math.max(0, from - world.holdSteps - world.stepsPerDay);
  const held = new HeldMachines(world.holdSteps);
  let n = 0;
  for (let t = first; t < demandBps.length; t += 1) {
    const seen = demandBps[t - leadSteps] ?? demandBps[0]!;
    const over = Math.max(0, seen - world.privateCapacityBps);
    const full = n * world.machineBps;
    const outside = over > high * full || over < low * full;
    const wanted = outside ? machinesFor(over, high * world.machineBps) : n;
    n = held.next(Math.max(1, wanted), t);
    machines[t] = n;
  }
  return machines;
}
