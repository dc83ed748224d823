/** A seeded generator (Marsaglia's xorshift128, 2003): the same seed gives the same training everywhere. */
export class Random {
  #x: number;
  #y: number;
  #z: number;
  #w: number;

  constructor(seed: number) {
    this.#x = (seed ^ 0x2545f491) >>> 0;
    this.#y = Math.imul(seed + 1, 0x9e3779b9) >>> 0;
    this.#z = 0x6c078965;
    this.#w = 0x1f123bb5;
    for (let i = 0; i < 20; i += 1) this.bits();
  }

  /** 32 random bits. */
  bits(): number {
    const t = this.#x ^ (this.#x << 11);
    this.#x = this.#y;
    this.#y = this.#z;
    this.#z = this.#w;
    this.#w = (this.#w ^ (this.#w >>> 19) ^ t ^ (t >>> 8)) >>> 0;
    return this.#w;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** Integer in [0, below). */
  below(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Fills `mask` with 0 by chance `dropped` (in steps of 1/256, four draws from 32 bits), else with what keeps the sum. */
  dropout(mask: Float32Array, dropped: number): void {
    const limit = Math.round(dropped * 256);
    // A look-up: a branch that nothing can predict costs three times as much, and there are millions a training.
    const kept = new Float32Array(256).fill(256 / (256 - limit), limit);
    let [x, y, z, w] = [this.#x, this.#y, this.#z, this.#w];
    const whole = mask.length & ~3;
    for (let i = 0; i < whole; i += 4) {
      const t = x ^ (x << 11);
      x = y;
      y = z;
      z = w;
      w ^= (w >>> 19) ^ t ^ (t >>> 8);
      mask[i] = kept[w & 255]!;
      mask[i + 1] = kept[(w >>> 8) & 255]!;
      mask[i + 2] = kept[(w >>> 16) & 255]!;
      mask[i + 3] = kept[w >>> 24]!;
    }
    this.#x = x;
    this.#y = y;
    this.#z = z;
    this.#w = w >>> 0;
    if (whole === mask.length) return;
    let bits = this.bits();
    for (let i = whole; i < mask.length; i += 1) {
      mask[i] = kept[bits & 255]!;
      bits >>>= 8;
    }
  }

  /** In place. */
  shuffle<Item>(items: Item[]): Item[] {
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
