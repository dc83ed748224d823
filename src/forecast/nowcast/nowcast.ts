import { DirectRidge } from './direct-ridge.js';
import { PolynomialWeights } from './polynomial-weights.js';

export interface NowcastOptions {
  /** Steps ahead that are forecast. */
  readonly horizon: number;
  readonly stepsPerDay: number;
}

/** Linear rules on values and on logarithms, by least squares and by least absolute residuals; and three simple ones. */
const MEMBERS = [
  'mean',
  'median',
  'logMean',
  'logMedian',
  'persistence',
  'recentMean',
  'seasonalStep',
] as const;
/** A day counts half after so many, to the rules and to the mixture. */
const HALF_LIFE_DAYS = 5;
/** What the linear rules learn from. */
const RULES = { windowDays: 14, halfLifeDays: HALF_LIFE_DAYS } as const;
const RECENT_STEPS = 6;

/**
 * The near future of one series, step after step: seven simple members, mixed by weights that follow their realised
 * errors. Every forecast uses the past only. Call {@link Nowcast.at} with ascending, consecutive t.
 */
export class Nowcast {
  readonly #y: Float64Array;
  readonly #options: NowcastOptions;
  readonly #plain: DirectRidge;
  readonly #log: DirectRidge;
  readonly #mixture: PolynomialWeights;
  /** By target step, until it is known: what each member said, and the weights that mixed it. */
  readonly #pending = new Map<number, { readonly said: Float64Array; readonly weights: Float64Array }>();

  /** @param first the first origin that will be asked for: what precedes it is history */
  constructor(y: Float64Array, first: number, options: NowcastOptions) {
    this.#y = y;
    this.#options = options;
    this.#plain = new DirectRidge({ ...options, ...RULES, log: false }, first);
    this.#log = new DirectRidge({ ...options, ...RULES, log: true }, first);
    this.#mixture = new PolynomialWeights(MEMBERS.length, HALF_LIFE_DAYS * options.stepsPerDay);
  }

  /** The forecast of y[t + horizon] from y[0…t]. */
  at(t: number): number {
    const y = this.#y;
    const known = this.#pending.get(t);
    if (known !== undefined) {
      this.#mixture.learn(known.weights, known.said, y[t]!);
      this.#pending.delete(t);
    }
    const said = this.#members(t);
    const { weights } = this.#mixture;
    this.#pending.set(t + this.#options.horizon, { said, weights });
    let forecast = 0;
    for (let m = 0; m < said.length; m += 1) forecast += weights[m]! * said[m]!;
    return forecast;
  }

  /** What each of {@link MEMBERS} says of y[t + horizon], none below 0. */
  #members(t: number): Float64Array {
    const y = this.#y;
    const { horizon, stepsPerDay } = this.#options;
    const target = t + horizon;
    const last = y[t]!;
    const plain = this.#plain.forecast(y, t);
    const log = this.#log.forecast(y, t);
    const recent = Math.min(RECENT_STEPS, t + 1);
    let sum = 0;
    for (let k = 0; k < recent; k += 1) sum += y[t - k]!;
    const before = t - stepsPerDay;
    const seasonal =
      before >= 0 && target >= stepsPerDay ? last + y[target - stepsPerDay]! - y[before]! : last;
    return Float64Array.of(
      plain?.mean ?? last,
      plain?.median ?? last,
      log?.mean ?? last,
      log?.median ?? last,
      last,
      sum / recent,
      seasonal,
    ).map((value) => Math.max(0, value));
  }
}
