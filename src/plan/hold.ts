interface Started {
  readonly at: number;
  count: number;
}

/**
 * Machines under a minimum hold when they are interchangeable: a machine past its hold stops first, oldest first, so
 * the number that must stay is the number started within the hold. Plans and the simulation both rent by it.
 */
export class HeldMachines {
  readonly #hold: number;
  /** Those that run, oldest first. */
  readonly #started: Started[];
  #running = 0;

  /**
   * @param hold how long a machine that was started must stay, in the unit of the moments that {@link next} is given
   * @param since when each machine that runs already was started
   */
  constructor(hold: number, since: readonly number[] = []) {
    this.#hold = hold;
    this.#started = [...since].sort((a, b) => a - b).map((at) => ({ at, count: 1 }));
    this.#running = since.length;
  }

  /** Wishes for `wanted` machines from the moment `at` on, moments in ascending order. @returns how many run */
  next(wanted: number, at: number): number {
    let held = 0;
    for (let i = this.#started.length - 1; i >= 0; i -= 1) {
      const group = this.#started[i]!;
      if (at - group.at >= this.#hold) break;
      held += group.count;
    }
    const n = Math.max(wanted, held);
    if (n > this.#running) this.#started.push({ at, count: n - this.#running });
    let stopping = this.#running - n;
    while (stopping > 0) {
      const oldest = this.#started[0]!;
      const stopped = Math.min(stopping, oldest.count);
      oldest.count -= stopped;
      stopping -= stopped;
      if (oldest.count === 0) this.#started.shift();
    }
    this.#running = n;
    return n;
  }

  /** When each machine that runs was started, oldest first. */
  get since(): number[] {
    return this.#started.flatMap(({ at, count }) => new Array<number>(count).fill(at));
  }
}
