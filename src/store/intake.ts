import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../base/logger.js';
import type { FrameQueue, Waiting } from './frame-queue.js';
import type { Ledger } from './ledger.js';
import { BLOCK_COLUMNS } from './native-block.js';
import { NativeBlock } from './native-reader.js';
import type { FrameFile, FrameHeader, Spool } from './spool.js';

/** One encoded batch on its way to ClickHouse. */
export interface FlowFrame {
  readonly table: 'flows';
  readonly block: Uint8Array;
  readonly rows: number;
  readonly packets: number;
  readonly octets: number;
  /** A frame under an id that an earlier process left in the spool is there already. Letters, digits and dashes. */
  readonly id?: string | undefined;
}

export interface IntakeOptions {
  readonly spool: Spool;
  readonly queue: FrameQueue;
  readonly ledger: Ledger;
  readonly spoolLimitBytes: number;
  readonly spoolAgeMs: number;
  readonly logger: Logger;
  /** Counts a frame that will not be sent. */
  readonly giveUp: (frame: Waiting, reason: string) => void;
}

/** Left out of new frames while the spool is more than half full: most of a record's octets, none of its counters. */
const LUXURIES: ReadonlySet<string> = new Set([
  'fingerprint',
  'packetSizeBins',
  'reversePacketSizeBins',
  'interArrivalBins',
  'reverseInterArrivalBins',
  'payloadHead',
  'reversePayloadHead',
  'headerFields',
]);
/** Half a minute in all: longer than an INSERT under way takes. */
const WRITE_ATTEMPTS = 60;
const WRITE_AGAIN_MS = 500;

/** Brings frames into the spool, and keeps it within its limits by thinning what comes and giving up what is oldest. */
export class Intake {
  readonly #options: IntakeOptions;
  /** Of frames that an earlier process left: it may have died between spooling a batch and giving it back. */
  readonly #leftIds = new Set<string>();
  #lastWrite: Promise<unknown> = Promise.resolve();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Tells of a frame that an earlier process left in the spool. */
  remember({ id }: FrameHeader): void {
    if (id !== undefined) this.#leftIds.add(id);
  }

  /**
   * Resolves when the frame is in the spool and in the queue.
   *
   * @param token never used for other rows
   * @param signal ends the attempts to write on a full disk
   * @throws TG_STORE_SPOOL_WRITE
   */
  async append(frame: FlowFrame, token: string, signal: AbortSignal): Promise<void> {
    const { ledger, queue, spoolLimitBytes } = this.#options;
    const { table, rows, packets, octets, id } = frame;
    if (id !== undefined && this.#leftIds.delete(id)) {
      // In the spool already, or sent from there: for this process it is stored.
      ledger.spooledPackets += packets;
      ledger.storedPackets += packets;
      return;
    }
    let { block } = frame;
    let columns = BLOCK_COLUMNS;
    if (ledger.spoolBytes > spoolLimitBytes / 2) {
      ({ block, columns } = new NativeBlock(block).without(LUXURIES));
      ledger.thinnedRecords += rows;
    }
    const header: FrameHeader = {
      table,
      columns,
      rows,
      packets,
      octets,
      token,
      ...(id === undefined ? {} : { id }),
    };
    await this.#makeRoom(block.length);
    // One after the other: on a disk that is nearly full, several would take each other's last room.
    const written = this.#lastWrite.then(() => this.#write(header, block, signal));
    this.#lastWrite = written.catch(() => {});
    const file = await written;
    queue.push({ file, own: true, queuedMs: performance.now() });
    ledger.spoolBytes += file.bytes;
    ledger.spooledPackets += packets;
  }

  /** A disk that is full now may not be in a moment: what is sent meanwhile makes room, and the source holds its batches. */
  async #write(header: FrameHeader, block: Uint8Array, signal: AbortSignal): Promise<FrameFile> {
    const { spool, logger } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await spool.write(header, block);
      } catch (error) {
        if (attempt >= WRITE_ATTEMPTS || signal.aborted) throw error;
        if (attempt === 1) logger.error({ err: error }, 'the spool cannot be written; trying again');
        await sleep(WRITE_AGAIN_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #makeRoom(bytes: number): Promise<void> {
    const { spool, queue, ledger, spoolLimitBytes, spoolAgeMs, giveUp } = this.#options;
    // Frames that are on the wire right now are not in the queue, and not to be given up.
    for (let oldest = queue.oldest; oldest !== undefined; oldest = queue.oldest) {
      const full = ledger.spoolBytes + bytes > spoolLimitBytes;
      const old = Date.now() - oldest.file.writtenMs > spoolAgeMs;
      if (!full && !old) return;
      queue.shift();
      giveUp(oldest, old ? 'spool_age' : 'spool_full');
      await spool.remove(oldest.file.name);
    }
  }
}
