import type { World } from './world.js';

/** What a schedule cost and missed over a stretch of the past. */
export interface RiskRecord {
  readonly costUsd: number;
  readonly violationSteps: number;
  readonly steps: number;
}

/** Running sums of one schedule's cost and violations, so that any recent stretch is two look-ups. */
export class StepSums {
  readonly #world: World;
  readonly #cost: number[] = [0];
  readonly #violations: number[] = [0];
  #before = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Step t was served by n machines. */
  add(t: number, n: number): void {
    const world = this.#world;
    const over = Math.max(0, world.demandBps[t]! - world.privateCapacityBps);
    const room = n * world.machineBps;
    const egressUsd = (Math.min(over, room) * (world.stepMs / 1000) * world.egressUsdPerGb) / 8e9;
    const starts = Math.max(0, n - this.#before);
    this.#before = n;
    this.#cost.push(this.#cost.at(-1)! + n * world.usdPerMachineStep + starts * world.startUsd + egressUsd);
    this.#violations.push(this.#violations.at(-1)! + (over > room * (1 + 1e-9) + 1e-6 ? 1 : 0));
  }

  /** The last `steps` steps, or as many as there are. */
  last(steps: number): RiskRecord {
    const end = this.#cost.length - 1;
    const from = Math.max(0, end - steps);
    return {
      costUsd: this.#cost[end]! - this.#cost[from]!,
      violationSteps: this.#violations[end]! - this.#violations[from]!,
      steps: end - from,
    };
  }
}

/** Part of the allowed violations that a level may have used on paper: the future is never quite the past. */
const PAPER_SHARE = 0.4;
/** Days over which the schedule in force must not use up more than its allowance. */
const OWN_DAYS = 12;
/** A level must have been at least this much cheaper than the reactive rule for the goal to be worth its price. */
const REACTIVE_SHARE = 0.985;
/** What the schedule in force lost to the reactive rule is to be made good within so many days. */
const CATCH_UP_DAYS = 3;
/** Aims of the race with the reactive rule: cheaper and fewer violations by these parts, and one violation more. */
const CHEAPER_BY = 0.005;
const FEWER_BY = 0.05;
const FEWER_STEPS = 1;
/** A part of the reactive rule's cost that weighs as much as all of its violations. */
const COST_SCALE = 0.03;
/** How much both advantages together count beside the smaller one. */
const SUM_SHARE = 0.1;

/** What there is to choose from and how it did over one stretch of the past. */
export interface RiskRecords {
  /** Forecast levels, cheapest first. */
  readonly levels: readonly RiskRecord[];
  /** Rules that only look back. */
  readonly lookBacks: readonly RiskRecord[];
  readonly reactive: RiskRecord;
  /** The schedule in force since it is, and the reactive rule over the same steps. */
  readonly own: RiskRecord;
  readonly ownReactive: RiskRecord;
}

export interface RuleChoice {
  /** Index into levels and look-backs. */
  readonly rule: number;
  readonly goalGivenUp: boolean;
  /** The reactive rule's machines are the least, or the most, to have. */
  readonly bound?: 'floor' | 'ceiling';
}

/**
 * The rule to run by, from what each would have done in the recent past: an index into levels and look-backs.
 *
 * With a price per violation: the least cost including it. With a goal: the first level that kept the goal with a
 * margin, one or more levels safer when the schedule in force has nearly used its own allowance. Where that was no
 * cheaper than the reactive rule, or the schedule in force is behind that rule in cost or violations, the goal cannot
 * be insured at a sensible price (unannounced spikes). Then the race is with the reactive rule: of all rules the one
 * whose smaller advantage over it, in cost or in violations, counted from where both stand, is largest; and while the
 * schedule in force is behind, that rule is its floor or its ceiling, by what it is further behind in: violations or
 * cost. So it falls back no further.
 */
export function chooseRule(world: World, records: RiskRecords): RuleChoice {
  const { levels, lookBacks, reactive, own, ownReactive } = records;
  if (world.violationUsdPerStep !== undefined) {
    const worth = world.violationUsdPerStep;
    return {
      rule: best([...levels, ...lookBacks], (l) => -l.costUsd - l.violationSteps * worth),
      goalGivenUp: false,
    };
  }
  const safest = levels.length - 1;
  const share = world.maximumViolationPercent / 100;
  let level = levels.findIndex((l) => l.violationSteps <= share * PAPER_SHARE * reactive.steps);
  if (level < 0) level = safest;
  // Each half of the allowance that is used up is a step towards safety.
  const allowance = Math.max(1, Math.floor(share * OWN_DAYS * world.stepsPerDay));
  level = Math.min(safest, level + Math.ceil((2 * own.violationSteps) / allowance));
  const isDearer = own.costUsd > ownReactive.costUsd;
  const isWorse = own.violationSteps > 0 && own.violationSteps >= ownReactive.violationSteps;
  const keepsGoal = 3 * own.violationSteps <= 2 * allowance;
  if (!isDearer && (!isWorse || keepsGoal) && levels[level]!.costUsd <= REACTIVE_SHARE * reactive.costUsd) {
    return { rule: level, goalGivenUp: false };
  }
  const part = (CATCH_UP_DAYS * world.stepsPerDay) / Math.max(1, reactive.steps);
  const usdScale = COST_SCALE * Math.max(reactive.costUsd, 1e-9) * part;
  const violationScale = Math.max(reactive.violationSteps, 1) * part;
  const usdAim = (1 - CHEAPER_BY) * (ownReactive.costUsd + part * reactive.costUsd);
  const violationAim =
    (1 - FEWER_BY) * (ownReactive.violationSteps + part * reactive.violationSteps) - FEWER_STEPS;
  const advantage = (rule: RiskRecord): number => {
    const cheaper = (usdAim - own.costUsd - part * rule.costUsd) / usdScale;
    const fewer = (violationAim - own.violationSteps - part * rule.violationSteps) / violationScale;
    // A large lead in one makes up for nothing in the other.
    const bounded = (value: number): number => Math.max(-1, Math.min(1, value));
    return Math.min(cheaper, fewer) + SUM_SHARE * (bounded(cheaper) + bounded(fewer));
  };
  const rule = best([...levels, ...lookBacks], advantage);
  if (!isWorse && !isDearer) return { rule, goalGivenUp: true };
  const dearer = isDearer ? (own.costUsd - ownReactive.costUsd) / (COST_SCALE * ownReactive.costUsd) : -1;
  const worse = isWorse
    ? (own.violationSteps - ownReactive.violationSteps) / Math.max(1, ownReactive.violationSteps)
    : -1;
  return { rule, goalGivenUp: true, bound: worse >= dearer ? 'floor' : 'ceiling' };
}

/** Index of the first of the highest scores. */
function best(records: readonly RiskRecord[], score: (record: RiskRecord) => number): number {
  const scores = records.map(score);
  return scores.indexOf(Math.max(...scores));
}
