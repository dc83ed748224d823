import type { LossCount } from '../capture/source.js';
import type { Refused } from './poison.js';
import type { FrameHeader } from './spool.js';

export interface WriterCounters {
  /** Of frames that this process appended. */
  readonly spooledPackets: number;
  readonly storedPackets: number;
  readonly storedRecords: number;
  /** Records of frames that an earlier process had left in the spool, stored by this one. */
  readonly recoveredRecords: number;
  readonly spoolBytes: number;
  readonly spoolFrames: number;
  /** Frames that were compressed because ClickHouse did not answer, and the octets that this saved. */
  readonly packedFrames: number;
  readonly packedSavedBytes: number;
  /** Records that were spooled without fingerprint and histograms because the spool was more than half full. */
  readonly thinnedRecords: number;
  readonly reachable: boolean;
  readonly lost: readonly LossCount[];
}

/** What became of the frames of a writer: every step that gives something up is counted here. */
export class Ledger {
  readonly #lost = new Map<string, { packets: number; octets: number }>();
  spooledPackets = 0;
  storedPackets = 0;
  storedRecords = 0;
  recoveredRecords = 0;
  thinnedRecords = 0;
  packedFrames = 0;
  packedSavedBytes = 0;
  spoolBytes = 0;

  /** A frame is in ClickHouse, less what was refused of it. `own`: this process appended it. */
  stored(header: FrameHeader, own: boolean, refused: Refused): void {
    if (!own) {
      this.recoveredRecords += header.rows - refused.rows;
      return;
    }
    this.storedPackets += header.packets - refused.packets;
    this.storedRecords += header.rows - refused.rows;
    if (refused.rows > 0) this.lose('refused', refused.packets, refused.octets);
  }

  lose(reason: string, packets: number, octets: number): void {
    const count = this.#lost.get(reason) ?? { packets: 0, octets: 0 };
    this.#lost.set(reason, { packets: count.packets + packets, octets: count.octets + octets });
  }

  counters(spoolFrames: number, reachable: boolean): WriterCounters {
    return {
      spooledPackets: this.spooledPackets,
      storedPackets: this.storedPackets,
      storedRecords: this.storedRecords,
      recoveredRecords: this.recoveredRecords,
      spoolBytes: this.spoolBytes,
      spoolFrames,
      packedFrames: this.packedFrames,
      packedSavedBytes: this.packedSavedBytes,
      thinnedRecords: this.thinnedRecords,
      reachable,
      lost: [...this.#lost].map(([reason, count]) => ({ stage: 'store', reason, ...count })),
    };
  }
}
