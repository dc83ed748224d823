const RECENT_SHARE = 0.4;
const RECENT_ALPHA = 0.08;
const DAILY_ALPHA = 0.25;
const SMOOTHED_SLOTS = 9;
const LEVEL_SHARE = 0.0015;

/**
 * How large the next error is likely to be: an exponentially weighted mean of the last realised errors, blended with
 * one by time of day. Fed with realised errors only, in the order of their steps.
 */
export class ErrorScale {
  readonly #stepsPerDay: number;
  readonly #bySlot: Float64Array;
  #recent: number | undefined;

  constructor(stepsPerDay: number) {
    this.#stepsPerDay = stepsPerDay;
    this.#bySlot = new Float64Array(stepsPerDay).fill(Number.NaN);
  }

  /** The forecast of step t missed by this much. */
  realised(t: number, error: number): void {
    const size = Math.abs(error);
    this.#recent = this.#recent === undefined ? size : this.#recent + RECENT_ALPHA * (size - this.#recent);
    const slot = t % this.#stepsPerDay;
    const before = this.#bySlot[slot]!;
    this.#bySlot[slot] = Number.isNaN(before) ? size : before + DAILY_ALPHA * (size - before);
  }

  /** Scale of the error of a forecast of step t, in the unit of the series; above 0. */
  at(t: number, forecast: number): number {
    const d = this.#stepsPerDay;
    let sum = 0;
    let count = 0;
    const reach = Math.min(SMOOTHED_SLOTS, Math.floor((d - 1) / 2));
    for (let k = -reach; k <= reach; k += 1) {
      const value = this.#bySlot[(((t + k) % d) + d) % d]!;
      if (Number.isNaN(value)) continue;
      sum += value;
      count += 1;
    }
    const recent = this.#recent ?? 0;
    const daily = count > 0 ? sum / count : recent;
    return RECENT_SHARE * recent + (1 - RECENT_SHARE) * daily + LEVEL_SHARE * forecast + 1e-9;
  }
}
