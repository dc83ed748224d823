/**
 * Looks at something again and again, one look at a time: a look that takes longer than the interval is followed by
 * the ones that were due meanwhile as one.
 */
export class RepeatedLook {
  readonly #look: () => Promise<unknown>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<unknown> | undefined;

  /** @param look never rejects */
  constructor(look: () => Promise<unknown>, everyMs: number) {
    this.#look = look;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
    }, this.#everyMs).unref();
  }

  /** Resolves when the look that is under way has ended; there will be no other. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#looking;
  }
}
