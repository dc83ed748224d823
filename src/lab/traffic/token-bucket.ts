/** Paces octets or events: fills at a rate that may change at any time, holds at most `burstSeconds` of it. */
export class TokenBucket {
  #tokens = 0;
  #atMs: number;

  constructor(
    nowMs: number,
    readonly burstSeconds = 0.25,
  ) {
    this.#atMs = nowMs;
  }

  /** Adds what the time since the last call is worth at `ratePerSecond`. */
  refill(nowMs: number, ratePerSecond: number): void {
    const seconds = Math.max(0, nowMs - this.#atMs) / 1000;
    this.#atMs = nowMs;
    this.#tokens = Math.min(
      this.#tokens + seconds * ratePerSecond,
      Math.max(1, this.burstSeconds * ratePerSecond),
    );
  }

  /** Whole tokens that may be taken now. */
  get available(): number {
    return Math.floor(this.#tokens);
  }

  take(count: number): void {
    this.#tokens -= count;
  }
}
