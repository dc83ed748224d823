/**
 * Machines under a minimum hold when they are interchangeable: a machine past its hold stops first, oldest first, so
 * the number that must stay is the number started within the hold.
 */
export class HeldMachines {
  readonly #startedAt: Int32Array;
  readonly #holdSteps: number;
  #running = 0;
  #held = 0;
  #step = 0;

  constructor(steps: number, holdSteps: number) {
    this.#startedAt = new Int32Array(steps);
    this.#holdSteps = holdSteps;
  }

  /** Wishes for `wanted` machines in the next step. @returns how many run */
  next(wanted: number): number {
    const t = this.#step;
    // Started in step t - H have been held for H steps, t - H … t - 1.
    if (t >= this.#holdSteps) this.#held -= this.#startedAt[t - this.#holdSteps]!;
    const n = Math.max(wanted, this.#held);
    const started = Math.max(0, n - this.#running);
    this.#startedAt[t] = started;
    this.#held += started;
    this.#running = n;
    this.#step += 1;
    return n;
  }
}
