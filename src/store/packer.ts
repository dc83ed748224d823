import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { FrameQueue } from './frame-queue.js';
import type { Ledger } from './ledger.js';
import type { Spool } from './spool.js';

export interface PackerOptions {
  readonly spool: Pick<Spool, 'pack'>;
  readonly queue: FrameQueue;
  readonly ledger: Ledger;
  readonly logger: Logger;
  /** Whether ClickHouse takes nothing just now. */
  readonly away: () => boolean;
  /** Told when a frame is back in the queue. */
  readonly onPacked: () => void;
}

const EVERY_MS = 500;
/** A frame that waits so long while ClickHouse does not answer will wait longer. */
const AFTER_MS = 2_000;
const AGAIN_MS = 30_000;

/** Compresses the backlog while ClickHouse does not answer; when it does, processors have better to do. */
export class Packer {
  readonly #options: PackerOptions;
  #frames = 0;

  constructor(options: PackerOptions) {
    this.#options = options;
  }

  /** Frames that are out of the queue to be compressed: 0 or 1. */
  get frames(): number {
    return this.#frames;
  }

  /** Until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { spool, queue, ledger, logger, away, onPacked } = this.#options;
    const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {});
    while (!signal.aborted) {
      const frame = away() ? queue.takeUnpacked(performance.now(), AFTER_MS) : undefined;
      if (frame === undefined) {
        await pause(EVERY_MS);
        continue;
      }
      this.#frames = 1;
      let failed = false;
      try {
        const packed = await spool.pack(frame.file);
        const saved = frame.file.bytes - packed.bytes;
        ledger.packedFrames += packed.packed ? 1 : 0;
        ledger.packedSavedBytes += saved;
        ledger.spoolBytes -= saved;
        frame.file = packed;
      } catch (error) {
        failed = true;
        logger.warn({ reason: messageOf(error), frame: frame.file.name }, 'a frame could not be compressed');
      }
      queue.restore(frame);
      this.#frames = 0;
      onPacked();
      if (failed) await pause(AGAIN_MS);
    }
  }
}
