import type { Matrix } from './normalisation.js';
import type { Random } from './random.js';

/** What one training step is fed with; see {@link buildStepGraph} for the shapes. */
export interface DrawnBatch {
  readonly features: Float32Array;
  readonly inputMask: Float32Array;
  readonly pairs: Float32Array;
  readonly barred: Float32Array;
  readonly classes: Float32Array;
}

export interface BatchSampler {
  readonly batch: number;
  readonly classes: number;
  draw(random: Random): DrawnBatch;
}

/** Who resembles whom without any label: flows of one service endpoint, and flows to one port. */
export interface WeakKeys {
  /** Per row; −1 = none. Rows of equal endpoint are alike with weight 1. */
  readonly endpoint: Int32Array;
  /** Per row; −1 = none. Rows of equal port identity are alike with weight 0.7. */
  readonly port: Int32Array;
}

export interface SamplerOptions {
  /** Raw features [n, D]. */
  readonly features: Matrix;
  /** Class of each row, −1 = unlabelled. */
  readonly labels: Int32Array;
  readonly classes: number;
  /** Labelled rows a batch; 0 = none. */
  readonly labelled: number;
  /** Rows a batch for the weak kernel; 0 = none. */
  readonly weak: number;
  readonly weakKeys?: WeakKeys;
  readonly weakWeight?: number;
  /** Share of the weak pairs that are one row twice, each under its own dropout: what keeps more than ports. Default 0. */
  readonly selfShare?: number;
  readonly inputDropout: number;
  /** Columns of the port block [from, to), empty = none: dropped as a whole, or left alone. */
  readonly portColumns: readonly [number, number];
  /** Columns of the byte block: dropped as a whole. */
  readonly byteColumns?: readonly [number, number];
  readonly dropPort?: number;
  readonly onlyPort?: number;
  readonly dropBytes?: number;
}

/** Added to a logit, it takes the pair out of the softmax. */
const BARRED = -1e4;
const SAME_ENDPOINT = 1;
const SAME_PORT = 0.7;
const SAME_ROW = 1;
const ENDPOINT_SHARE = 0.3;

const groupsOf = (keys: Int32Array): number[][] => {
  const groups = new Map<number, number[]>();
  keys.forEach((key, row) => {
    if (key < 0) return;
    const rows = groups.get(key);
    if (rows) rows.push(row);
    else groups.set(key, [row]);
  });
  return [...groups.values()];
};

/**
 * Class-balanced labelled rows and pairs of weakly related rows in one batch; the two parts do not see each other.
 * Input dropout and modality dropout (the port alone, or everything but the port) are drawn here.
 */
export class MixedSampler implements BatchSampler {
  readonly batch: number;
  readonly classes: number;
  readonly #options: SamplerOptions;
  readonly #byClass: readonly number[][];
  readonly #endpointGroups: readonly number[][];
  readonly #portGroups: readonly number[][];
  /** Rows with an endpoint. */
  readonly #keyedRows: readonly number[];
  readonly #drawn: DrawnBatch;

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#byClass = groupsOf(options.labels);
    const several = (keys: Int32Array | undefined): number[][] =>
      keys ? groupsOf(keys).filter((rows) => rows.length > 1) : [];
    this.#endpointGroups = several(options.weakKeys?.endpoint);
    this.#portGroups = several(options.weakKeys?.port);
    const endpoints = options.weakKeys?.endpoint ?? new Int32Array(0);
    this.#keyedRows = Array.from(endpoints.keys()).filter((row) => endpoints[row]! >= 0);
    const hasWeak = this.#endpointGroups.length + this.#portGroups.length > 0;
    this.batch = options.labelled + (hasWeak ? options.weak : 0);
    this.classes = options.labelled > 0 ? options.classes : 0;
    const { columns } = options.features;
    this.#drawn = {
      features: new Float32Array(this.batch * columns),
      inputMask: new Float32Array(this.batch * columns),
      pairs: new Float32Array(this.batch * this.batch),
      barred: new Float32Array(this.batch * this.batch),
      classes: new Float32Array(this.batch * this.classes),
    };
  }

  draw(random: Random): DrawnBatch {
    const { features, labels, labelled, selfShare = 0 } = this.#options;
    const drawn = this.#drawn;
    const rows: number[] = [];
    for (let i = 0; i < labelled; i += 1) rows.push(pick(pick(this.#byClass, random), random));
    while (rows.length < this.batch) {
      if (this.#keyedRows.length > 0 && selfShare > 0 && random.uniform() < selfShare) {
        const row = pick(this.#keyedRows, random);
        rows.push(row);
        if (rows.length < this.batch) rows.push(row);
        continue;
      }
      const fromEndpoints =
        this.#portGroups.length === 0 ||
        (this.#endpointGroups.length > 0 && random.uniform() < ENDPOINT_SHARE);
      const group = pick(fromEndpoints ? this.#endpointGroups : this.#portGroups, random);
      rows.push(pick(group, random));
      if (rows.length < this.batch) rows.push(pick(group, random));
    }
    rows.forEach((row, i) => {
      const { columns } = features;
      drawn.features.set(features.data.subarray(row * columns, (row + 1) * columns), i * columns);
      this.#mask(i, random);
    });
    drawn.classes.fill(0);
    for (let i = 0; i < labelled; i += 1)
      drawn.classes[i * this.classes + labels[rows[i]!]!] = 1 / this.batch;
    this.#pairs(rows);
    return drawn;
  }

  #mask(i: number, random: Random): void {
    const { features, inputDropout, portColumns, byteColumns } = this.#options;
    const { dropPort = 0, onlyPort = 0, dropBytes = 0 } = this.#options;
    const { columns } = features;
    const mask = this.#drawn.inputMask.subarray(i * columns, (i + 1) * columns);
    random.dropout(mask, inputDropout);
    const [from, to] = portColumns;
    if (to > from) {
      const chance = random.uniform();
      if (chance < dropPort) mask.fill(0, from, to);
      else if (chance < dropPort + onlyPort) {
        mask.fill(0, 0, from);
        mask.fill(0, to);
      }
    }
    if (byteColumns && random.uniform() < dropBytes) mask.fill(0, byteColumns[0], byteColumns[1]);
  }

  #pairs(rows: readonly number[]): void {
    const { labels, labelled, weakKeys, weakWeight = 0.5, selfShare = 0 } = this.#options;
    const { pairs, barred } = this.#drawn;
    const n = this.batch;
    pairs.fill(0);
    barred.fill(BARRED);
    const keyOf = (keys: Int32Array | undefined): Int32Array =>
      Int32Array.from(rows, (row) => keys?.[row] ?? -1);
    const label = keyOf(labels);
    const endpoint = keyOf(weakKeys?.endpoint);
    const port = keyOf(weakKeys?.port);
    for (let a = 0; a < n; a += 1) {
      const isLabelled = a < labelled;
      const [from, to] = isLabelled ? [0, labelled] : [labelled, n];
      let sum = 0;
      for (let b = from; b < to; b += 1) {
        if (a === b || (!isLabelled && rows[a] === rows[b] && selfShare === 0)) continue;
        let weight = 0;
        if (isLabelled) weight = label[a] === label[b] ? 1 : 0;
        else if (rows[a] === rows[b]) weight = SAME_ROW;
        else {
          if (endpoint[a]! >= 0 && endpoint[a] === endpoint[b]) weight = SAME_ENDPOINT;
          if (port[a]! >= 0 && port[a] === port[b]) weight += SAME_PORT;
        }
        barred[a * n + b] = 0;
        pairs[a * n + b] = weight;
        sum += weight;
      }
      if (sum === 0) continue;
      const scale = (isLabelled ? 1 : weakWeight) / (sum * n);
      for (let b = from; b < to; b += 1) pairs[a * n + b]! *= scale;
    }
  }
}

const pick = <Item>(items: readonly Item[], random: Random): Item => items[random.below(items.length)]!;
