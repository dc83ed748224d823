import type { RiskRecord } from './record.js';
import type { CapacityTerms } from './terms.js';

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
const COST_SCALE = 0.06;
/** How much both advantages together count beside the smaller one. */
const SUM_SHARE = 0.1;

/** One rule over the windows that rules are judged by, shortest first; the last is all of the judged past. */
export type RuleRecord = readonly RiskRecord[];

/** What there is to choose from and how it did. */
export interface RiskRecords {
  /** Forecast levels, cheapest first. */
  readonly levels: readonly RuleRecord[];
  /** The reactive rule within bounds. */
  readonly bounded: readonly RuleRecord[];
  readonly reactive: RuleRecord;
  /** The schedule in force since it is, and the reactive rule over the same steps. */
  readonly own: RiskRecord;
  readonly ownReactive: RiskRecord;
}

export interface RuleChoice {
  /** Index into levels and bounded rules. */
  readonly rule: number;
  readonly goalGivenUp: boolean;
}

const whole = (record: RuleRecord): RiskRecord => record.at(-1)!;

/**
 * The rule to run by, from what each would have done in the recent past: an index into levels and bounded rules.
 *
 * With a price per violation: the least cost including it. With a goal: the first level that kept the goal with a
 * margin, one or more levels safer when the schedule in force has nearly used its own allowance. Where that was no
 * cheaper than the reactive rule, or the schedule in force is behind that rule in cost or violations, the goal cannot
 * be insured at a sensible price (unannounced spikes). Then the race is with the reactive rule: of all rules the one
 * whose smaller advantage over it, in cost or in violations, counted from where both stand, is largest on average over
 * the windows. Short windows see that the world has changed, long ones see what is rare.
 */
export function chooseRule(terms: CapacityTerms, records: RiskRecords): RuleChoice {
  const { levels, bounded, own, ownReactive } = records;
  const all = [...levels, ...bounded];
  if (terms.violationUsdPerStep !== undefined) {
    const worth = terms.violationUsdPerStep;
    return {
      rule: best(all, (record) => -whole(record).costUsd - whole(record).violationSteps * worth),
      goalGivenUp: false,
    };
  }
  const reactive = whole(records.reactive);
  const safest = levels.length - 1;
  const share = terms.maximumViolationPercent / 100;
  let level = levels.findIndex((l) => whole(l).violationSteps <= share * PAPER_SHARE * reactive.steps);
  if (level < 0) level = safest;
  // Each half of the allowance that is used up is a step towards safety.
  const allowance = Math.max(1, Math.floor(share * OWN_DAYS * terms.stepsPerDay));
  level = Math.min(safest, level + Math.ceil((2 * own.violationSteps) / allowance));
  const isDearer = own.costUsd > ownReactive.costUsd;
  const isWorse = own.violationSteps > 0 && own.violationSteps >= ownReactive.violationSteps;
  const keepsGoal = 3 * own.violationSteps <= 2 * allowance;
  if (
    !isDearer &&
    (!isWorse || keepsGoal) &&
    whole(levels[level]!).costUsd <= REACTIVE_SHARE * reactive.costUsd
  ) {
    return { rule: level, goalGivenUp: false };
  }
  return { rule: best(all, (record) => advantageOf(terms, records, record)), goalGivenUp: true };
}

/** The smaller advantage over the reactive rule that going on by a rule promises, on average over the windows. */
function advantageOf(
  terms: CapacityTerms,
  { reactive, own, ownReactive }: RiskRecords,
  rule: RuleRecord,
): number {
  // A large lead in one makes up for nothing in the other.
  const bounded = (value: number): number => Math.max(-1, Math.min(1, value));
  let sum = 0;
  for (const [i, record] of rule.entries()) {
    const beside = reactive[i]!;
    const part = (CATCH_UP_DAYS * terms.stepsPerDay) / Math.max(1, beside.steps);
    const usdScale = COST_SCALE * Math.max(beside.costUsd, 1e-9) * part;
    const violationScale = Math.max(beside.strainedSteps, 1) * part;
    const usdAim = (1 - CHEAPER_BY) * (ownReactive.costUsd + part * beside.costUsd);
    const violationAim =
      (1 - FEWER_BY) * (ownReactive.violationSteps + part * beside.strainedSteps) - FEWER_STEPS;
    const cheaper = (usdAim - own.costUsd - part * record.costUsd) / usdScale;
    const fewer = (violationAim - own.violationSteps - part * record.strainedSteps) / violationScale;
    sum += Math.min(cheaper, fewer) + SUM_SHARE * (bounded(cheaper) + bounded(fewer));
  }
  return sum / rule.length;
}

/** Index of the first of the highest scores. */
function best(records: readonly RuleRecord[], score: (record: RuleRecord) => number): number {
  const scores = records.map(score);
  return scores.indexOf(Math.max(...scores));
}
