import { setTimeout as sleep } from 'node:timers/promises';
import type { Component } from '../base/component.js';
import { messageOf, TidegateError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { LossCount } from '../capture/source.js';
import type { StoreClient } from './client.js';
import { BLOCK_COLUMNS } from './native-block.js';
import { NativeBlock } from './native-reader.js';
import { halves, isPoison, NOTHING_REFUSED, type Refused, refusedOf } from './poison.js';
import type { FrameFile, FrameHeader, Spool } from './spool.js';

/** One encoded batch on its way to ClickHouse. */
export interface FlowFrame {
  readonly table: 'flows';
  readonly block: Uint8Array;
  readonly rows: number;
  readonly packets: number;
  readonly octets: number;
}

export interface WriterCounters {
  /** Of frames that this process appended. */
  readonly spooledPackets: number;
  readonly storedPackets: number;
  readonly storedRecords: number;
  /** Records of frames that an earlier process had left in the spool, stored by this one. */
  readonly recoveredRecords: number;
  readonly spoolBytes: number;
  readonly spoolFrames: number;
  /** Records that were spooled without fingerprint and histograms because the spool was more than half full. */
  readonly thinnedRecords: number;
  readonly reachable: boolean;
  readonly lost: readonly LossCount[];
}

export interface WriterOptions {
  readonly spool: Spool;
  readonly client: Pick<StoreClient, 'insertBlock'>;
  readonly gateway: string;
  readonly spoolLimitBytes: number;
  readonly logger: Logger;
}

interface Waiting extends FrameFile {
  readonly header: FrameHeader | undefined;
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
]);
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 15_000;
/** Frames sent at once: while ClickHouse works on one, the next is on its way. */
const SENDERS = 2;
const STOP_PATIENCE_MS = 5_000;

/**
 * Write-ahead spool, then INSERT with a token of its own. A frame leaves the spool only after ClickHouse has
 * acknowledged it, and a frame that is sent twice is stored once, so neither a crash of ours nor one of the store
 * loses or doubles a record. What is given up when ClickHouse stays away, in this order, each step counted: from half
 * the limit on, new records lose their fingerprint and histograms; at the limit the oldest frame goes.
 */
export class BatchWriter implements Component {
  readonly #options: WriterOptions;
  readonly #queue: Waiting[] = [];
  readonly #idle: (() => void)[] = [];
  readonly #lost = new Map<string, { packets: number; octets: number }>();
  /** Frames that are being sent right now. */
  readonly #inFlight = new Set<Waiting>();
  readonly #sleepers: (() => void)[] = [];
  #loops: Promise<void>[] = [];
  #stopping = new AbortController();
  #hangUp = new AbortController();
  #spooledPackets = 0;
  #storedPackets = 0;
  #storedRecords = 0;
  #recoveredRecords = 0;
  #thinnedRecords = 0;
  #spoolBytes = 0;
  #reachable = true;
  #sequence = 0;
  readonly #tokenBase: string;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#tokenBase = `${options.gateway.replace(/[^\w.-]/g, '_')}:${Date.now().toString(36)}-${process.pid}`;
  }

  async start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#hangUp = new AbortController();
    for (const file of await this.#options.spool.open()) {
      this.#queue.push({ ...file, header: undefined });
      this.#spoolBytes += file.bytes;
    }
    if (this.#queue.length > 0) {
      this.#options.logger.info(
        { frames: this.#queue.length },
        'sending what an earlier process left in the spool',
      );
    }
    this.#loops = Array.from({ length: SENDERS }, () => this.#send());
  }

  /** Ends the sending; what is still in the spool is sent by the next process. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    // An INSERT under way may end; one that hangs is left to the next process, whose token makes it harmless.
    const late = setTimeout(() => this.#hangUp.abort(), STOP_PATIENCE_MS);
    await Promise.all(this.#loops);
    clearTimeout(late);
  }

  /** Resolves when the frame is in the spool. @throws TG_STORE_SPOOL_WRITE */
  async append(frame: FlowFrame): Promise<void> {
    this.#sequence += 1;
    let block = frame.block;
    let columns = BLOCK_COLUMNS;
    if (this.#spoolBytes > this.#options.spoolLimitBytes / 2) {
      ({ block, columns } = new NativeBlock(block).without(LUXURIES));
      this.#thinnedRecords += frame.rows;
    }
    const header: FrameHeader = {
      table: frame.table,
      columns,
      rows: frame.rows,
      packets: frame.packets,
      octets: frame.octets,
      token: `${this.#tokenBase}:${this.#sequence}`,
    };
    await this.#makeRoom(block.length);
    const file = await this.#options.spool.write(header, block);
    this.#queue.push({ ...file, header });
    this.#spoolBytes += file.bytes;
    this.#spooledPackets += frame.packets;
    this.#wake();
  }

  /** Resolves true when the spool is empty, false when `timeoutMs` went by before. */
  async drain(timeoutMs: number): Promise<boolean> {
    if (this.#frames === 0) return true;
    const empty = new Promise<boolean>((resolve) => {
      this.#idle.push(() => resolve(true));
    });
    const abort = new AbortController();
    const late = sleep(timeoutMs, false, { signal: abort.signal }).catch(() => false);
    const result = await Promise.race([empty, late]);
    abort.abort();
    return result;
  }

  counters(): WriterCounters {
    return {
      spooledPackets: this.#spooledPackets,
      storedPackets: this.#storedPackets,
      storedRecords: this.#storedRecords,
      recoveredRecords: this.#recoveredRecords,
      spoolBytes: this.#spoolBytes,
      spoolFrames: this.#frames,
      thinnedRecords: this.#thinnedRecords,
      reachable: this.#reachable,
      lost: [...this.#lost].map(([reason, count]) => ({ stage: 'store', reason, ...count })),
    };
  }

  async #makeRoom(bytes: number): Promise<void> {
    // Frames that are on the wire right now are not in the queue, and not to be given up.
    while (this.#spoolBytes + bytes > this.#options.spoolLimitBytes && this.#queue.length > 0) {
      const oldest = this.#queue.shift();
      await this.#giveUp(oldest!, 'spool_full');
      await this.#options.spool.remove(oldest!.name);
    }
  }

  async #giveUp(file: Waiting, reason: string): Promise<void> {
    let { header } = file;
    if (header === undefined) {
      const frame = await this.#options.spool.read(file.name);
      header = 'header' in frame ? frame.header : undefined;
    } else {
      // Only packets that this process counted as seen can be lost in its balance.
      this.#count(reason, header.packets, header.octets);
    }
    this.#spoolBytes -= file.bytes;
    this.#options.logger.error(
      { code: 'TG_STORE_LOST', reason, frame: file.name, packets: header?.packets, rows: header?.rows },
      'a frame of flow records is lost and counted',
    );
  }

  #count(reason: string, packets: number, octets: number): void {
    const count = this.#lost.get(reason) ?? { packets: 0, octets: 0 };
    this.#lost.set(reason, { packets: count.packets + packets, octets: count.octets + octets });
  }

  get #frames(): number {
    return this.#queue.length + this.#inFlight.size;
  }

  #wake(): void {
    for (const wake of this.#sleepers.splice(0)) wake();
  }

  async #send(): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      const file = this.#queue.shift();
      if (file === undefined) {
        if (this.#inFlight.size === 0) for (const idle of this.#idle.splice(0)) idle();
        await new Promise<void>((resolve) => {
          this.#sleepers.push(resolve);
        });
        continue;
      }
      this.#inFlight.add(file);
      try {
        await this.#sendOne(file);
        this.#inFlight.delete(file);
        this.#reachable = true;
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        this.#inFlight.delete(file);
        this.#queue.unshift(file);
        if (this.#reachable && !signal.aborted) {
          const code = error instanceof TidegateError ? error.code : 'TG_STORE_RETRY';
          this.#options.logger.warn(
            { code, reason: messageOf(error) },
            'the store does not take records; they stay in the spool',
          );
        }
        this.#reachable = false;
        await sleep(retryMs * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {});
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  async #sendOne(file: Waiting): Promise<void> {
    const { spool } = this.#options;
    const frame = await spool.read(file.name);
    if ('damage' in frame) {
      await this.#giveUp(file, 'spool_damaged');
      await spool.setAside(file.name, frame.damage);
      return;
    }
    const { header } = frame;
    const refused = await this.#insert(file.name, header, frame.block, header.rows);
    await spool.remove(file.name);
    this.#spoolBytes -= file.bytes;
    if (file.header === undefined) {
      this.#recoveredRecords += header.rows - refused.rows;
    } else {
      this.#storedPackets += header.packets - refused.packets;
      this.#storedRecords += header.rows - refused.rows;
      if (refused.rows > 0) this.#count('refused', refused.packets, refused.octets);
    }
  }

  /**
   * Inserts a block. One that is refused for its content is halved until the rows at fault stand alone; those are set
   * aside with the reason. Halves have tokens of their own, the same at every attempt.
   */
  async #insert(name: string, header: FrameHeader, block: Uint8Array, rows: number): Promise<Refused> {
    try {
      const { signal } = this.#hangUp;
      await this.#options.client.insertBlock(header.table, header.columns, block, header.token, { signal });
      return NOTHING_REFUSED;
    } catch (error) {
      if (!isPoison(error)) throw error;
      const parts = rows > 1 ? halves(block) : undefined;
      if (parts === undefined) {
        await this.#options.spool.setRowsAside(
          `${name}.${header.token.split(':').slice(3).join('')}`,
          block,
          messageOf(error),
        );
        this.#options.logger.error(
          { code: 'TG_STORE_REFUSED', frame: name, rows, reason: messageOf(error) },
          'records are refused for their content and set aside',
        );
        return refusedOf(header, block, rows);
      }
      const total = { rows: 0, packets: 0, octets: 0 };
      for (const [suffix, part, partRows] of parts) {
        const half = { ...header, token: `${header.token}:${suffix}` };
        const refused = await this.#insert(name, half, part, partRows);
        total.rows += refused.rows;
        total.packets += refused.packets;
        total.octets += refused.octets;
      }
      return total;
    }
  }
}
