import { FlowBatch } from '../flow/batch.js';
import { SLAB_HEADER } from '../flow/columns.js';

/** The JavaScript side of the slabs: turns a slab number into a batch, and takes slabs back. */
export class SlabPool {
  readonly #buffers: readonly SharedArrayBuffer[];
  #deliveredPackets = 0;
  #outstanding = 0;
  #idle: (() => void)[] = [];

  readonly #onDelivered: ((packets: number, octets: number, slab: number) => void) | undefined;
  readonly #stateName: () => string;

  /**
   * `onDelivered` is told of each batch that is given back. `stateName` names the memory in which batches outlive the
   * process: a batch that is handed over again has the same id.
   */
  constructor(
    buffers: readonly SharedArrayBuffer[],
    onDelivered?: (packets: number, octets: number, slab: number) => void,
    stateName: () => string = () => '',
  ) {
    this.#buffers = buffers;
    this.#onDelivered = onDelivered;
    this.#stateName = stateName;
  }

  /** Packets in batches that were released. */
  get deliveredPackets(): number {
    return this.#deliveredPackets;
  }

  /** The batch in a filled slab; its `release` makes the slab writable again. */
  take(slab: number): FlowBatch {
    const buffer = this.#buffers[slab]!;
    this.#outstanding += 1;
    const name = this.#stateName();
    const sequence = new Uint32Array(buffer)[SLAB_HEADER.sequence]!;
    const id = name === '' ? undefined : `${name}-${sequence}`;
    const batch: FlowBatch = new FlowBatch(
      buffer,
      () => {
        this.#deliveredPackets += batch.packets;
        this.#onDelivered?.(batch.packets, batch.octets, slab);
        this.#outstanding -= 1;
        Atomics.store(new Int32Array(buffer), SLAB_HEADER.state, 0);
        if (this.#outstanding === 0) for (const wake of this.#idle.splice(0)) wake();
      },
      id,
    );
    return batch;
  }

  /** Resolves when every batch that was handed out has been released. */
  async released(): Promise<void> {
    if (this.#outstanding === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
    });
  }
}
