/** Rates of monotonic counters between two readings. The first reading gives zero. */
export class RateMeter {
  #lastMs = 0;
  #last: readonly number[] = [];
  #rates: number[] = [];

  /** As of the last update; empty before the first. */
  get rates(): readonly number[] {
    return this.#rates;
  }

  /**
   * @param nowMs monotonic milliseconds
   * @param counters monotonic totals, always in the same order
   * @returns units per second of each, kept from the previous call when less than 100 ms went by
   */
  update(nowMs: number, counters: readonly number[]): readonly number[] {
    const elapsedMs = nowMs - this.#lastMs;
    if (this.#last.length !== counters.length) {
      this.#rates = counters.map(() => 0);
    } else if (elapsedMs < 100) {
      return this.#rates;
    } else {
      this.#rates = counters.map((value, i) => ((value - this.#last[i]!) * 1000) / elapsedMs);
    }
    this.#lastMs = nowMs;
    this.#last = counters;
    return this.#rates;
  }
}
