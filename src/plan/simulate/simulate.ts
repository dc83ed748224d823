import { type BurstMonth, burstSplit, evenSplit, perfectBurstBps } from '../burst.js';
import { RISK_LEVELS } from '../capacity/rules.js';
import type { Assumptions } from './assumptions.js';
import { reactivePolicy, staticPolicy } from './baselines.js';
import { oracleMachines } from './oracle.js';
import { predictivePolicy } from './predictive.js';
import type { Series } from './series.js';
import { machinesNeeded, type Outcome, outcomeOf, type World, worldOf } from './world.js';

export interface PolicyResult {
  readonly policy: string;
  readonly totalCostUsd: number;
  readonly computeCostUsd: number;
  readonly egressCostUsd: number;
  readonly violationMinutes: number;
  readonly violationPercent: number;
  readonly ratioToOracle: number;
  readonly computeRatioToOracle: number;
  readonly starts: number;
  readonly meanMachines: number;
}

/** What another lead time or machine size would have cost, Tidegate's rule and everything else the same. */
export interface Alternative {
  readonly name: string;
  readonly totalCostUsd: number;
  readonly computeCostUsd: number;
  readonly violationPercent: number;
  /** Beside the oracle of the simulation itself, whose machines need no lead. */
  readonly ratioToOracle: number;
  readonly computeRatioToOracle: number;
  readonly savingUsd: number;
}

/** The whole demand over two burstable links instead: the billed 95th percentiles of the last month. */
export interface BurstResult {
  readonly days: number;
  readonly ratioToOracle: number;
  readonly evenSplitRatioToOracle: number;
}

export interface Simulation {
  readonly policies: readonly PolicyResult[];
  readonly alternatives: readonly Alternative[];
  /** `null` for series that are too short for a month and a week before it. */
  readonly burstable: BurstResult | null;
  readonly assumptions: Readonly<Record<string, number | string | null>>;
  /** In words: what the reader must know before trusting the figures. */
  readonly notes: readonly string[];
}

const resultOf = (policy: string, outcome: Outcome, oracle: Outcome): PolicyResult => {
  const ratio = (a: number, b: number): number => (b > 0 ? a / b : a > 0 ? Number.POSITIVE_INFINITY : 1);
  return {
    policy,
    totalCostUsd: outcome.totalCostUsd,
    computeCostUsd: outcome.computeCostUsd,
    egressCostUsd: outcome.egressCostUsd,
    violationMinutes: outcome.violationMinutes,
    violationPercent: outcome.violationPercent,
    ratioToOracle: ratio(outcome.totalCostUsd, oracle.totalCostUsd),
    computeRatioToOracle: ratio(outcome.computeCostUsd, oracle.computeCostUsd),
    starts: outcome.starts,
    meanMachines: outcome.meanMachines,
  };
};

const scored = (world: World, machines: Int32Array): Outcome =>
  outcomeOf(world, machines, world.testStart, world.demandBps.length);

/** The schedule that perfect foresight would have bought for the test. */
async function oracleOf(world: World): Promise<Int32Array> {
  const { demandBps, testStart } = world;
  const need = Int32Array.from({ length: demandBps.length - testStart }, (_, i) =>
    machinesNeeded(world, testStart + i),
  );
  const machines = new Int32Array(demandBps.length);
  machines.set(await oracleMachines({ ...world, need }), testStart);
  return machines;
}

/**
 * Replays a real demand through every policy, decisions every step, lead time, hold and start cost alike; only the
 * oracle sees the future. Static policies are sized on the history before the test.
 *
 * @throws TG_PLAN_SERIES_SHORT, TG_PLAN_SERIES_SILENT
 */
export async function simulate(
  series: Series,
  assumptions: Assumptions,
  onProgress: (stage: string, done: number, of: number) => void = () => undefined,
): Promise<Simulation> {
  const world = worldOf(series, assumptions);
  const oracle = scored(world, await oracleOf(world));
  const predictive = predictivePolicy(world, (done, of) => onProgress('tidegate', done, of));
  const tidegate = scored(world, predictive.machines);
  const policies = [
    resultOf('static-peak', scored(world, staticPolicy(world, 1)), oracle),
    resultOf('static-p99', scored(world, staticPolicy(world, 0.99, 14)), oracle),
    resultOf('reactive-70/50', scored(world, reactivePolicy(world, 0.7, 0.5)), oracle),
    resultOf('reactive-50/35', scored(world, reactivePolicy(world, 0.5, 0.35)), oracle),
    resultOf('tidegate', tidegate, oracle),
    resultOf('oracle', oracle, oracle),
  ];
  const testSteps = world.demandBps.length - world.testStart;
  const notes: string[] = [];
  if (series.filledSteps > 0) notes.push(`${series.filledSteps} missing steps were filled by straight lines`);
  if (oracle.meanMachines < 3) {
    notes.push(
      `the mean need is ${oracle.meanMachines.toFixed(2)} machines: one spare machine is a large part of the compute cost, judge by the total`,
    );
  }
  if (predictive.goalGivenUpSteps > 0) {
    notes.push(
      `in ${((100 * predictive.goalGivenUpSteps) / testSteps).toFixed(0)} % of the steps, at most ${world.maximumViolationPercent} % violations and costing less than the reactive rule were in conflict: the aim was to be cheaper than it with fewer violations`,
    );
  }
  if (predictive.boundedSteps > 0) {
    notes.push(
      `${predictive.boundedSteps} steps followed the reactive rule within bounds: it did better in the past than a forecast`,
    );
  }
  if (world.testStart < 29 * world.stepsPerDay) {
    notes.push(
      `only ${(world.testStart / world.stepsPerDay).toFixed(1)} days of history before the test; 29 or more are used when there`,
    );
  }
  return {
    policies,
    alternatives: alternativesOf(series, assumptions, { tidegate, oracle }, onProgress),
    burstable: burstOf(world),
    assumptions: {
      ...described(assumptions, world),
      riskLevels: RISK_LEVELS.filter((_, i) => predictive.levelSteps[i]! > 0).join(', '),
    },
    notes,
  };
}

const BURST_DAYS = 30;
const BURST_HISTORY_DAYS = 7;

function burstOf({ demandBps, stepsPerDay }: World): BurstResult | null {
  const monthStart = demandBps.length - BURST_DAYS * stepsPerDay;
  if (monthStart < BURST_HISTORY_DAYS * stepsPerDay) return null;
  const month: BurstMonth = { demandBps, monthStart, samplesPerDay: stepsPerDay, percentile: 0.95 };
  const perfect = perfectBurstBps(month);
  return {
    days: BURST_DAYS,
    ratioToOracle: burstSplit(month).billedBps / perfect,
    evenSplitRatioToOracle: evenSplit(month).billedBps / perfect,
  };
}

/** The two levers an owner has: capacity that is there sooner, and in smaller pieces. */
function alternativesOf(
  series: Series,
  assumptions: Assumptions,
  { tidegate, oracle }: { readonly tidegate: Outcome; readonly oracle: Outcome },
  onProgress: (stage: string, done: number, of: number) => void,
): Alternative[] {
  const { machine, leadMs } = assumptions;
  const variants: [string, Assumptions][] = [
    [
      'half-size machines',
      {
        ...assumptions,
        machine: {
          ...machine,
          capacityBps: machine.capacityBps / 2,
          usdPerHour: machine.usdPerHour / 2,
          startUsd: machine.startUsd / 2,
        },
      },
    ],
  ];
  if (leadMs > series.stepMs)
    variants.unshift(['warm pool (one step of lead)', { ...assumptions, leadMs: series.stepMs }]);
  return variants.map(([name, changed]) => {
    const world = worldOf(series, changed);
    const outcome = scored(world, predictivePolicy(world, (done, of) => onProgress(name, done, of)).machines);
    const { totalCostUsd, computeCostUsd, violationPercent, ratioToOracle, computeRatioToOracle } = resultOf(
      name,
      outcome,
      oracle,
    );
    const savingUsd = tidegate.totalCostUsd - totalCostUsd;
    return {
      name,
      totalCostUsd,
      computeCostUsd,
      violationPercent,
      ratioToOracle,
      computeRatioToOracle,
      savingUsd,
    };
  });
}

const described = (a: Assumptions, world: World): Record<string, number | string | null> => ({
  scaledP99Bps: a.scaleP99Bps,
  privateCapacityBps: world.privateCapacityBps,
  machineCapacityBps: a.machine.capacityBps,
  machineUsdPerHour: a.machine.usdPerHour,
  machineStartUsd: a.machine.startUsd,
  egressUsdPerGb: a.egressUsdPerGb,
  leadSeconds: a.leadMs / 1000,
  holdSeconds: a.holdMs / 1000,
  stepSeconds: world.stepMs / 1000,
  simulatedSteps: world.demandBps.length - world.testStart,
  simulatedFrom: new Date(world.startMs + world.testStart * world.stepMs).toISOString(),
  historyDays: world.testStart / world.stepsPerDay,
  maximumViolationPercent: a.maximumViolationPercent,
  violationUsdPerMinute: a.violationUsdPerMinute ?? null,
});
