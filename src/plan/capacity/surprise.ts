import type { CapacityTerms } from './terms.js';

/** Demand this far above the highest of so many days, but for the last hour, is something new. */
const NEW_DAYS = 3;
const NEW_ABOVE = 1.05;
const HOURS_PER_DAY = 24;
/** How long the reactive rule is listened to after a surprise. */
const HEEDED_HOURS = 0.5;

/** Whether the past has just stopped telling what comes: demand above every error so far, or higher than for days. */
export class Surprise {
  readonly #demand: Float64Array;
  readonly #newSteps: number;
  readonly #hourSteps: number;
  readonly #heededSteps: number;
  readonly #leadSteps: number;
  #until = Number.NEGATIVE_INFINITY;

  constructor(terms: CapacityTerms, demand: Float64Array) {
    const { stepsPerDay, leadSteps } = terms;
    this.#demand = demand;
    this.#leadSteps = leadSteps;
    this.#newSteps = Math.round(NEW_DAYS * stepsPerDay);
    this.#hourSteps = Math.max(1, Math.round(stepsPerDay / HOURS_PER_DAY));
    this.#heededSteps = Math.max(1, Math.round((HEEDED_HOURS * stepsPerDay) / HOURS_PER_DAY));
  }

  /** Step t is measured now. @param highestExpected what was to be expected of it at most; NaN = nothing was said */
  see(t: number, highestExpected: number): void {
    const seen = this.#demand[t]!;
    if (seen > highestExpected || this.#isNew(t, seen)) this.#until = t + this.#leadSteps + this.#heededSteps;
  }

  /** Whether step `target` is still under it. */
  covers(target: number): boolean {
    return target < this.#until;
  }

  #isNew(t: number, seen: number): boolean {
    for (let i = Math.max(0, t - this.#newSteps); i <= t - this.#hourSteps; i += 1)
      if (this.#demand[i]! * NEW_ABOVE >= seen) return false;
    return true;
  }
}
