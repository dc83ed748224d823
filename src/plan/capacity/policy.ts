import { NearFuture } from '../../forecast/nowcast/bands.js';
import { HeldMachines } from '../hold.js';
import { chooseRule, type RuleChoice, type RuleRecord } from './choose.js';
import { lookBackWish } from './look-back.js';
import { ReactiveRule } from './reactive.js';
import { type RiskRecord, ScheduleRecord } from './record.js';
import { BOUNDED_RULES, type Bound, DEFAULT_RULE, RISK_LEVELS } from './rules.js';
import { Surprise } from './surprise.js';
import type { CapacityTerms } from './terms.js';

/** Part of the own capacity that is counted on: the rest absorbs what a step's mean hides. */
const OWN_SHARE = 0.98;
/** No band reaches further above the highest demand so far: after a burst, scaled errors say what cannot be. */
const BEYOND_HIGHEST = 1.1;
/** Rules are judged so many times a day, by these days of the past, the longest first needed in part. */
const JUDGED_A_DAY = 8;
const WINDOW_DAYS = [0.5, 1, 3, 20] as const;
const JUDGED_DAYS = Math.max(...WINDOW_DAYS);
const LEAST_JUDGED_DAYS = 1;
/** History before the judged past that the nowcast and its bands learn from. */
const LEARNING_DAYS = 9;
/** The rule that Tidegate must not fall behind. */
const REACTIVE = { high: 0.5, low: 0.35 };

export interface CapacityDecision {
  /** The step that is decided for. */
  readonly target: number;
  readonly machines: number;
  /** What demand is told to be. */
  readonly forecast: number;
  /** Index into {@link RISK_LEVELS}; above them, the reactive rule within bounds. */
  readonly rule: number;
  /** Keeping the violation goal would have cost more than the reactive rule. */
  readonly goalGivenUp: boolean;
}

interface Paper {
  readonly held: HeldMachines;
  readonly record: ScheduleRecord;
}

/** Where a policy may begin, so that it has learnt and been judged long enough when `from` comes. */
export function firstStepFor(from: number, stepsPerDay: number): number {
  return Math.max(
    Math.min(2 * stepsPerDay, Math.floor(from / 2)),
    from - Math.round((JUDGED_DAYS + LEARNING_DAYS) * stepsPerDay),
  );
}

/**
 * How many machines to have, step after step: the one rule by which plans rent and the simulation proves. Beside the
 * schedule in force, one per risk level of the forecast runs on paper, and the reactive rule within every pair of
 * bounds; several times a day {@link chooseRule} picks the one to go on with. When the past stops telling what comes,
 * nothing goes below the reactive rule. Every decision uses values up to `leadSteps` before the step that it is for.
 */
export class CapacityPolicy {
  readonly #terms: CapacityTerms;
  readonly #demand: Float64Array;
  readonly #from: number;
  readonly #judgedFrom: number;
  readonly #near: NearFuture;
  readonly #reactive: ReactiveRule;
  readonly #surprise: Surprise;
  readonly #paper: readonly Paper[];
  readonly #reactiveRecord: ScheduleRecord;
  readonly #ownReactive: ScheduleRecord;
  readonly #own: Paper;
  /** By schedule, what it has in each step from the next one to the last decided one. */
  readonly #ahead: { own: number; reactive: number; paper: Int32Array; expected: number }[] = [];
  readonly #wishes: Int32Array;
  #choice: RuleChoice = { rule: DEFAULT_RULE, goalGivenUp: false };
  #highest = 0;

  /**
   * @param demand in the unit of the terms; may be longer than what is known, and is read up to the step decided at
   * @param first the first step that is decided at; what precedes it is history
   * @param from from this step on the schedule in force answers for itself
   */
  constructor(terms: CapacityTerms, demand: Float64Array, first: number, from: number) {
    const { stepsPerDay, leadSteps, holdSteps } = terms;
    this.#terms = terms;
    this.#demand = demand;
    this.#from = from;
    this.#judgedFrom = Math.min(from, first + Math.min(4 * stepsPerDay, Math.floor((from - first) / 2)));
    this.#near = new NearFuture(demand, first, { horizon: leadSteps, stepsPerDay });
    this.#reactive = new ReactiveRule(terms, REACTIVE.high, REACTIVE.low);
    this.#surprise = new Surprise(terms, demand);
    const keep = JUDGED_DAYS * JUDGED_A_DAY;
    const record = (): ScheduleRecord => new ScheduleRecord(terms, keep);
    const paper = (): Paper => ({ held: new HeldMachines(holdSteps), record: record() });
    this.#paper = [...RISK_LEVELS, ...BOUNDED_RULES].map(paper);
    this.#reactiveRecord = record();
    this.#ownReactive = record();
    this.#own = paper();
    this.#wishes = new Int32Array(this.#paper.length);
    for (let i = 0; i < first; i += 1) if (demand[i]! > this.#highest) this.#highest = demand[i]!;
  }

  /** Step t is measured: how many machines to have in step t + leadSteps. Ascending, consecutive t from `first` on. */
  decide(t: number): CapacityDecision {
    const { leadSteps } = this.#terms;
    const demand = this.#demand;
    const target = t + leadSteps;
    this.#highest = Math.max(this.#highest, demand[t]!);
    // What was decided leadSteps ago is in force now; before that there was nothing.
    const now = this.#ahead.length === leadSteps ? this.#ahead.shift() : undefined;
    this.#learn(t, now);
    this.#surprise.see(t, now?.expected ?? Number.NaN);

    const { forecast, scale } = this.#near.at(t);
    const wishOf = (quantile: number): number => {
      const ready = Math.min(forecast + scale * quantile, BEYOND_HIGHEST * this.#highest);
      const over = ready - OWN_SHARE * this.#terms.ownCapacity;
      return Math.max(0, Math.ceil(over / this.#terms.machineCapacity));
    };
    const reactive = this.#reactive.next(demand[t]!, target);
    this.#wish(t, wishOf, reactive, target);
    const paper = Int32Array.from(this.#paper, ({ held }, i) => held.next(this.#wishes[i]!, target));
    const machines = this.#own.held.next(this.#wishes[this.#choice.rule]!, target);
    this.#ahead.push({
      own: machines,
      reactive,
      paper,
      expected: forecast + scale * this.#near.quantile(RISK_LEVELS.at(-1)!),
    });
    return { target, machines, forecast, ...this.#choice };
  }

  /** Every schedule learns what it would have cost; now and then another one takes over. */
  #learn(t: number, now: { own: number; reactive: number; paper: Int32Array } | undefined): void {
    if (t < this.#judgedFrom) return;
    const demand = this.#demand[t]!;
    const had = now ?? { own: 0, reactive: 0, paper: new Int32Array(this.#paper.length) };
    for (const [i, { record }] of this.#paper.entries()) record.add(demand, had.paper[i]!);
    this.#reactiveRecord.add(demand, had.reactive);
    if (t >= this.#from) {
      this.#own.record.add(demand, had.own);
      this.#ownReactive.add(demand, had.reactive);
    }
    const judged = t + 1 - this.#judgedFrom;
    const between = Math.max(1, Math.round(this.#terms.stepsPerDay / JUDGED_A_DAY));
    if (judged % between !== 0) return;
    for (const { record } of this.#paper) record.mark();
    for (const record of [this.#reactiveRecord, this.#ownReactive, this.#own.record]) record.mark();
    if (judged >= LEAST_JUDGED_DAYS * this.#terms.stepsPerDay) this.#choose();
  }

  #choose(): void {
    const past = (record: ScheduleRecord): RuleRecord =>
      WINDOW_DAYS.map((days) => record.last(days * JUDGED_A_DAY));
    const whole = (record: ScheduleRecord): RiskRecord => record.last(JUDGED_DAYS * JUDGED_A_DAY);
    const records = this.#paper.map(({ record }) => past(record));
    this.#choice = chooseRule(this.#terms, {
      levels: records.slice(0, RISK_LEVELS.length),
      bounded: records.slice(RISK_LEVELS.length),
      reactive: past(this.#reactiveRecord),
      own: whole(this.#own.record),
      ownReactive: whole(this.#ownReactive),
    });
  }

  /** What each rule asks for in step `target`. */
  #wish(t: number, wishOf: (quantile: number) => number, reactive: number, target: number): void {
    const levels = RISK_LEVELS.map((tau) => wishOf(this.#near.quantile(tau)));
    const known = new Map<Bound, number>();
    const boundOf = (bound: Bound, none: number): number => {
      if (bound === 'none') return none;
      if (bound === 'one-more') return reactive + 1;
      if ('level' in bound) return levels[bound.level]!;
      const seen = known.get(bound) ?? lookBackWish(this.#terms, this.#demand, t, bound.lookBack);
      known.set(bound, seen);
      return seen;
    };
    // A price for violations says itself what a surprise is worth.
    const floor =
      this.#terms.violationUsdPerStep === undefined && this.#surprise.covers(target) ? reactive : 0;
    this.#wishes.set(levels.map((wish) => Math.max(floor, wish)));
    for (const [i, { least, most }] of BOUNDED_RULES.entries()) {
      const wish = Math.max(Math.min(reactive, boundOf(most, reactive)), boundOf(least, 0));
      this.#wishes[RISK_LEVELS.length + i] = Math.max(floor, wish);
    }
  }
}
