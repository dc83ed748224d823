import { defineErrors } from '../../base/errors.js';
import { type CapacityTerms, isShort, machinesFor } from '../capacity/terms.js';
import type { Assumptions } from './assumptions.js';

const fail = defineErrors({
  TG_PLAN_SERIES_SHORT: {
    message: 'the series has {days} days at a step of {stepSeconds} s, too little to simulate on',
    hint: 'give at least 4 days; 40 days or more make the figures mean something',
    exitCode: 2,
  },
  TG_PLAN_SERIES_SILENT: {
    message: 'the series carries no demand: {reason}',
    hint: 'name the right column with --value-column',
    exitCode: 2,
  },
});

const DAY_MS = 86_400_000;
const BITS_PER_GB = 8e9;

/** Everything a policy lives in: a demand, step by step, and what capacity costs. */
export interface World {
  /** bit/s, the whole series: history and test. */
  readonly demandBps: Float64Array;
  readonly startMs: number;
  readonly stepMs: number;
  readonly stepsPerDay: number;
  /** The first simulated step. */
  readonly testStart: number;
  readonly privateCapacityBps: number;
  readonly machineBps: number;
  readonly usdPerMachineStep: number;
  readonly startUsd: number;
  readonly egressUsdPerGb: number;
  /** Decided with data up to step t, capacity stands in step t + leadSteps. */
  readonly leadSteps: number;
  readonly holdSteps: number;
  readonly maximumViolationPercent: number;
  readonly violationUsdPerStep: number | undefined;
}

/** The value below which a share `q` of the values lies; linear between order statistics. */
export function quantileOf(values: Float64Array, q: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}

/** @throws TG_PLAN_SERIES_SHORT, TG_PLAN_SERIES_SILENT */
export function worldOf(
  series: { readonly startMs: number; readonly stepMs: number; readonly values: Float64Array },
  assumptions: Assumptions,
): World {
  const { stepMs, startMs, values } = series;
  const stepsPerDay = Math.max(1, Math.round(DAY_MS / stepMs));
  const days = values.length / stepsPerDay;
  if (days < 4) throw fail('TG_PLAN_SERIES_SHORT', { days: days.toFixed(1), stepSeconds: stepMs / 1000 });
  const p99 = quantileOf(values, 0.99);
  const scale = assumptions.scaleP99Bps > 0 ? assumptions.scaleP99Bps / p99 : 1;
  if (!(p99 > 0)) throw fail('TG_PLAN_SERIES_SILENT', { reason: 'its 99th percentile is 0' });
  const demandBps = values.map((value) => value * scale);
  // At least half of a short series stays history.
  const testSteps = Math.min(Math.round(assumptions.testMs / stepMs), Math.floor(values.length / 2));
  const stepsOf = (ms: number): number => Math.max(1, Math.ceil(ms / stepMs - 1e-9));
  return {
    demandBps,
    startMs,
    stepMs,
    stepsPerDay,
    testStart: values.length - testSteps,
    privateCapacityBps: assumptions.privateCapacityBps ?? quantileOf(demandBps, assumptions.privateQuantile),
    machineBps: assumptions.machine.capacityBps,
    usdPerMachineStep: (assumptions.machine.usdPerHour * stepMs) / 3_600_000,
    startUsd: assumptions.machine.startUsd,
    egressUsdPerGb: assumptions.egressUsdPerGb,
    leadSteps: stepsOf(assumptions.leadMs),
    holdSteps: stepsOf(assumptions.holdMs),
    maximumViolationPercent: assumptions.maximumViolationPercent,
    violationUsdPerStep:
      assumptions.violationUsdPerMinute === undefined
        ? undefined
        : assumptions.violationUsdPerMinute * (stepMs / 60_000),
  };
}

/** The world as the capacity rule sees it. */
export const termsOf = (world: World): CapacityTerms => ({
  stepsPerDay: world.stepsPerDay,
  ownCapacity: world.privateCapacityBps,
  machineCapacity: world.machineBps,
  usdPerMachineStep: world.usdPerMachineStep,
  startUsd: world.startUsd,
  usdPerCarriedStep: ((world.stepMs / 1000) * world.egressUsdPerGb) / BITS_PER_GB,
  leadSteps: world.leadSteps,
  holdSteps: world.holdSteps,
  maximumViolationPercent: world.maximumViolationPercent,
  violationUsdPerStep: world.violationUsdPerStep,
});

/** Machines that step t needs: the demand over the private capacity, in whole machines. */
export const machinesNeeded = (world: World, t: number): number =>
  machinesFor(world.demandBps[t]! - world.privateCapacityBps, world.machineBps);

export interface Outcome {
  readonly computeCostUsd: number;
  readonly egressCostUsd: number;
  readonly totalCostUsd: number;
  readonly violationSteps: number;
  readonly violationMinutes: number;
  readonly violationPercent: number;
  readonly starts: number;
  readonly meanMachines: number;
}

/**
 * What a number of machines per step costs in a stretch of the series. Demand without room is dropped: it pays no
 * egress and makes its step a violation. Machines that run in the first step count as started in it.
 */
export function outcomeOf(world: World, machines: Int32Array, from: number, until: number): Outcome {
  let machineSteps = 0;
  let starts = 0;
  let publicBits = 0;
  let violationSteps = 0;
  let before = 0;
  const seconds = world.stepMs / 1000;
  for (let t = from; t < until; t += 1) {
    const n = machines[t]!;
    machineSteps += n;
    starts += Math.max(0, n - before);
    before = n;
    const over = Math.max(0, world.demandBps[t]! - world.privateCapacityBps);
    const room = n * world.machineBps;
    publicBits += Math.min(over, room) * seconds;
    if (isShort(over, room)) violationSteps += 1;
  }
  const computeCostUsd = machineSteps * world.usdPerMachineStep + starts * world.startUsd;
  const egressCostUsd = (publicBits / BITS_PER_GB) * world.egressUsdPerGb;
  return {
    computeCostUsd,
    egressCostUsd,
    totalCostUsd: computeCostUsd + egressCostUsd,
    violationSteps,
    violationMinutes: (violationSteps * world.stepMs) / 60_000,
    violationPercent: (100 * violationSteps) / (until - from),
    starts,
    meanMachines: machineSteps / (until - from),
  };
}
