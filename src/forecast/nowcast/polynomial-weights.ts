/**
 * Convex weights of several forecasters, learnt from what each would have gained over the mixture: ML-Poly of Gaillard,
 * Stoltz and van Erven, "A second-order bound with excess losses" (2014), on the slope of the absolute error. It has no
 * learning rate to choose and no scale, and in the long run the mixture is nearly as good as the best fixed mixture.
 * Here the past is forgotten by and by, for mixtures that change.
 */
export class PolynomialWeights {
  /** By forecaster: how much less the error would have been by trusting it more, summed over the past. */
  readonly #gained: Float64Array;
  /** Sum of the squares of the same, which says how far a gain may be chance. */
  readonly #squares: Float64Array;
  readonly #kept: number;
  #weights: Float64Array;

  /** @param halfLifeSteps a gain counts half after so many {@link learn}s */
  constructor(forecasters: number, halfLifeSteps: number) {
    this.#kept = 0.5 ** (1 / halfLifeSteps);
    this.#gained = new Float64Array(forecasters);
    this.#squares = new Float64Array(forecasters);
    this.#weights = new Float64Array(forecasters).fill(1 / forecasters);
  }

  /** Weights for the next forecast; they are not changed later, so they may be kept. */
  get weights(): Float64Array {
    return this.#weights;
  }

  /** What `weights` mixed out of `said` came to be known: `actual`. */
  learn(weights: Float64Array, said: ArrayLike<number>, actual: number): void {
    const count = this.#gained.length;
    let mixed = 0;
    for (let m = 0; m < count; m += 1) mixed += weights[m]! * said[m]!;
    const slope = Math.sign(mixed - actual);
    const next = new Float64Array(count);
    let total = 0;
    for (let m = 0; m < count; m += 1) {
      const gain = slope * (mixed - said[m]!);
      this.#gained[m] = this.#kept * this.#gained[m]! + gain;
      this.#squares[m] = this.#kept * this.#squares[m]! + gain * gain;
      if (this.#gained[m]! > 0) next[m] = this.#gained[m]! / this.#squares[m]!;
      total += next[m]!;
    }
    // Nobody gained on the mixture: it stays as it is.
    if (!(total > 0) || !Number.isFinite(total)) return;
    for (let m = 0; m < count; m += 1) next[m]! /= total;
    this.#weights = next;
  }
}
