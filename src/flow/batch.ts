import { type ColumnType, SLAB_HEADER, type SlabLayout, slabLayout } from './columns.js';

export type ColumnView = Uint8Array | Uint16Array | Uint32Array | BigUint64Array | Int16Array | Float32Array;

interface ViewOf {
  u8: Uint8Array;
  u16: Uint16Array;
  u32: Uint32Array;
  u64: BigUint64Array;
  i16: Int16Array;
  f32: Float32Array;
}

const VIEWS: {
  readonly [T in ColumnType]: new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => ViewOf[T];
} = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array,
  i16: Int16Array,
  f32: Float32Array,
};

const layouts = new Map<number, SlabLayout>();
const layoutFor = (capacity: number): SlabLayout => {
  let layout = layouts.get(capacity);
  if (layout === undefined) {
    layout = slabLayout(capacity);
    layouts.set(capacity, layout);
  }
  return layout;
};

/**
 * A batch of flow records as columns in one SharedArrayBuffer: views only, no object per row, cheap to post to
 * a worker (`buffer` is shared, not copied). Whoever receives it from a source must see that `release` is called
 * once when nobody reads it any more: that is the source's flow-control credit.
 */
export class FlowBatch {
  readonly rows: number;
  readonly layout: SlabLayout;
  #release: (() => void) | undefined;

  constructor(
    readonly buffer: SharedArrayBuffer,
    release?: () => void,
    /** The same when a later process hands this batch over again; absent when batches end with their process. */
    readonly id?: string,
  ) {
    const header = new Uint32Array(buffer, 0, 16);
    this.rows = header[SLAB_HEADER.rows]!;
    this.layout = layoutFor(header[SLAB_HEADER.capacity]!);
    this.#release = release;
  }

  /** Packets in both directions summed over all rows, as the producer counted them. */
  get packets(): number {
    return this.#headerNumber(SLAB_HEADER.packetsLow);
  }

  /** Octets in both directions summed over all rows. */
  get octets(): number {
    return this.#headerNumber(SLAB_HEADER.octetsLow);
  }

  /** The view of a column, `rows * width` elements; row r of an array column starts at `r * width`. */
  column<T extends ColumnType>(name: string, type: T): ViewOf[T] {
    const placement = this.layout.columns.get(name);
    if (placement === undefined || placement.definition.type !== type) {
      throw new TypeError(`no flow column ${name} of type ${type}`);
    }
    return new VIEWS[type](this.buffer, placement.offset, this.rows * placement.definition.width);
  }

  /** Gives the slab back to its source. Safe to call more than once. */
  release(): void {
    this.#release?.();
    this.#release = undefined;
  }

  #headerNumber(low: number): number {
    const header = new Uint32Array(this.buffer, 0, 16);
    return header[low + 1]! * 2 ** 32 + header[low]!;
  }
}
