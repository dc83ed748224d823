import { setTimeout as sleep } from 'node:timers/promises';
import type { Component } from '../base/component.js';
import { messageOf, TidegateError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { LossCount } from '../capture/source.js';
import type { StoreClient } from './client.js';
import { clickhouseCode } from './errors.js';
import { BLOCK_COLUMNS } from './native-block.js';
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

/** ClickHouse codes that say the block itself is at fault: trying again cannot help. */
const POISON = new Set([6, 26, 27, 33, 41, 53, 69, 117, 131, 190, 252, 321, 349]);
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 15_000;

/**
 * Write-ahead spool, then INSERT with a token of its own. A frame leaves the spool only after ClickHouse has
 * acknowledged it, and a frame that is sent twice is stored once, so neither a crash of ours nor one of the store
 * loses or doubles a record. When the spool is full the oldest frame goes, and is counted.
 */
export class BatchWriter implements Component {
  readonly #options: WriterOptions;
  readonly #queue: Waiting[] = [];
  readonly #idle: (() => void)[] = [];
  readonly #lost = new Map<string, { packets: number; octets: number }>();
  #wake: (() => void) | undefined;
  #loop: Promise<void> | undefined;
  #stopping = new AbortController();
  #spooledPackets = 0;
  #storedPackets = 0;
  #storedRecords = 0;
  #recoveredRecords = 0;
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
    this.#loop = this.#send();
  }

  /** Ends the sending; what is still in the spool is sent by the next process. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake?.();
    await this.#loop;
  }

  /** Resolves when the frame is in the spool. @throws TG_STORE_SPOOL_WRITE */
  async append(frame: FlowFrame): Promise<void> {
    this.#sequence += 1;
    const header: FrameHeader = {
      table: frame.table,
      columns: BLOCK_COLUMNS,
      rows: frame.rows,
      packets: frame.packets,
      octets: frame.octets,
      token: `${this.#tokenBase}:${this.#sequence}`,
    };
    await this.#makeRoom(frame.block.length);
    const file = await this.#options.spool.write(header, frame.block);
    this.#queue.push({ ...file, header });
    this.#spoolBytes += file.bytes;
    this.#spooledPackets += frame.packets;
    this.#wake?.();
  }

  /** Resolves true when the spool is empty, false when `timeoutMs` went by before. */
  async drain(timeoutMs: number): Promise<boolean> {
    if (this.#queue.length === 0) return true;
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
      spoolFrames: this.#queue.length,
      reachable: this.#reachable,
      lost: [...this.#lost].map(([reason, count]) => ({ stage: 'store', reason, ...count })),
    };
  }

  async #makeRoom(bytes: number): Promise<void> {
    // The frame at the head may be on the wire right now: it is not the one to give up.
    while (this.#spoolBytes + bytes > this.#options.spoolLimitBytes && this.#queue.length > 1) {
      const [oldest] = this.#queue.splice(1, 1);
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
      const count = this.#lost.get(reason) ?? { packets: 0, octets: 0 };
      this.#lost.set(reason, {
        packets: count.packets + header.packets,
        octets: count.octets + header.octets,
      });
    }
    this.#spoolBytes -= file.bytes;
    this.#options.logger.error(
      { code: 'TG_STORE_LOST', reason, frame: file.name, packets: header?.packets, rows: header?.rows },
      'a frame of flow records is lost and counted',
    );
  }

  async #send(): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      const file = this.#queue[0];
      if (file === undefined) {
        for (const wake of this.#idle.splice(0)) wake();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        await this.#sendOne(file);
        this.#queue.shift();
        this.#reachable = true;
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        if (this.#reachable) {
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
    const { spool, client } = this.#options;
    const frame = await spool.read(file.name);
    if ('damage' in frame) {
      await this.#giveUp(file, 'spool_damaged');
      await spool.setAside(file.name);
      return;
    }
    const { header } = frame;
    try {
      await client.insertBlock(header.table, header.columns, frame.block, header.token);
    } catch (error) {
      if (!POISON.has(clickhouseCode((error as Error).cause ?? error))) throw error;
      this.#options.logger.error(
        { frame: file.name, reason: messageOf(error) },
        'a frame is refused for its content',
      );
      await this.#giveUp(file, 'refused');
      await spool.setAside(file.name);
      return;
    }
    await spool.remove(file.name);
    this.#spoolBytes -= file.bytes;
    if (file.header === undefined) {
      this.#recoveredRecords += header.rows;
    } else {
      this.#storedPackets += header.packets;
      this.#storedRecords += header.rows;
    }
  }
}
