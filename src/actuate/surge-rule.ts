export interface SurgeRuleOptions {
  /** What the link can carry. */
  readonly capacityBps: number;
  /** Above this part of the capacity the link counts as full. Default 0.85. */
  readonly fullAt?: number;
  /** How far above the highest expected rate the band ends. Default 1.5 times. */
  readonly margin?: number;
  /** Samples in a row outside the band before it acts. Default 2. */
  readonly consecutive?: number;
}

/**
 * The reactive rule for what no forecast saw: when the live rate is above the expected band and the link is nearly
 * full for some samples in a row, act now, without waiting for the next plan. The band's upper end is given by a
 * forecast, or learned as a multiple of the highest rate of a quiet time.
 */
export class SurgeRule {
  readonly #options: Required<SurgeRuleOptions>;
  #highestBps = 0;
  #bandBps: number | undefined;
  #streak = 0;

  constructor(options: SurgeRuleOptions) {
    this.#options = { fullAt: 0.85, margin: 1.5, consecutive: 2, ...options };
  }

  /** Upper end of the expected band. */
  get upperBps(): number {
    return this.#bandBps ?? this.#highestBps * this.#options.margin;
  }

  /** A rate that is normal. */
  learn(rateBps: number): void {
    this.#highestBps = Math.max(this.#highestBps, rateBps);
  }

  /** A forecast's upper quantile replaces what was learned. */
  expect(upperBps: number): void {
    this.#bandBps = upperBps;
  }

  /**
   * Whether to act on this sample.
   *
   * @param linkBps what the link carries, where the band is one of more than the link
   */
  observe(rateBps: number, linkBps = rateBps): boolean {
    const { capacityBps, fullAt, consecutive } = this.#options;
    const outside = rateBps > this.upperBps && linkBps > fullAt * capacityBps;
    this.#streak = outside ? this.#streak + 1 : 0;
    return this.#streak >= consecutive;
  }
}
