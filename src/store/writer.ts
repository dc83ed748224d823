import { setTimeout as sleep } from 'node:timers/promises';
import type { Component } from '../base/component.js';
import { messageOf, TidegateError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { LossCount } from '../capture/source.js';
import type { StoreClient } from './client.js';
import { BLOCK_COLUMNS } from './native-block.js';
import { NativeBlock } from './native-reader.js';
import { halves, isPoison, NOTHING_REFUSED, type Refused, refusedOf } from './poison.js';
import { gather, type Shipment, type Waiting } from './shipment.js';
import type { FrameHeader, Spool } from './spool.js';

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
/** Shipments under way at once: while ClickHouse works on one, the next is on its way. */
const SENDERS = 2;
const STOP_PATIENCE_MS = 5_000;

/**
 * Write-ahead spool, then INSERT with a token of its own. A frame leaves the spool only after ClickHouse has
 * acknowledged it, and a frame that is sent twice is stored once, so neither a crash of ours nor one of the store
 * loses or doubles a record. Small frames travel together, under a token and in a company that are written down before
 * the first attempt and never change. What is given up when ClickHouse stays away, in this order, each step counted: from half
 * the limit on, new records lose their fingerprint and histograms; at the limit the oldest frame goes.
 */
export class BatchWriter implements Component {
  readonly #options: WriterOptions;
  readonly #queue: Waiting[] = [];
  readonly #idle: (() => void)[] = [];
  readonly #lost = new Map<string, { packets: number; octets: number }>();
  /** Shipments that were tried, or were left by an earlier process. */
  readonly #again: Shipment[] = [];
  readonly #inFlight = new Set<Shipment>();
  /** Callers of drain: nothing lingers while there are any. */
  #drainers = 0;
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
    const left = new Map<string, Waiting>();
    for (const file of await this.#options.spool.open()) {
      left.set(file.name, { ...file, header: undefined, queuedMs: 0 });
      this.#spoolBytes += file.bytes;
    }
    for (const { name, token, frames } of await this.#options.spool.groups()) {
      const files = frames.flatMap((frame) => left.get(frame) ?? []);
      for (const frame of frames) left.delete(frame);
      this.#again.push({ files, group: name, token });
    }
    this.#queue.push(...left.values());
    if (this.#frames > 0) {
      this.#options.logger.info(
        { frames: this.#frames },
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
    this.#queue.push({ ...file, header, queuedMs: performance.now() });
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
    this.#drainers += 1;
    this.#wake();
    const result = await Promise.race([empty, late]);
    this.#drainers -= 1;
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
    const count = (all: Iterable<Shipment>): number => {
      let frames = 0;
      for (const { files } of all) frames += files.length;
      return frames;
    };
    return this.#queue.length + count(this.#again) + count(this.#inFlight);
  }

  #wake(): void {
    for (const wake of this.#sleepers.splice(0)) wake();
  }

  /** What is to be sent next, or the ms until there may be something (`undefined`: when somebody appends). */
  #next(): Shipment | number | undefined {
    const again = this.#again.shift();
    if (again !== undefined) return again;
    if (this.#queue.length === 0) return undefined;
    const found = gather(this.#queue, performance.now(), this.#drainers > 0);
    return 'waitMs' in found ? found.waitMs : { files: this.#queue.splice(0, found.count) };
  }

  async #send(): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      const next = this.#next();
      if (typeof next !== 'object') {
        if (this.#frames === 0) for (const idle of this.#idle.splice(0)) idle();
        await new Promise<void>((resolve) => {
          const timer = next === undefined ? undefined : setTimeout(resolve, next);
          this.#sleepers.push(() => {
            clearTimeout(timer);
            resolve();
          });
        });
        continue;
      }
      let shipment = next;
      this.#inFlight.add(shipment);
      try {
        if (shipment.files.length > 1 && shipment.group === undefined) {
          const joined = await this.#join(shipment);
          this.#inFlight.delete(shipment);
          this.#inFlight.add(joined);
          shipment = joined;
        }
        await this.#ship(shipment);
        this.#inFlight.delete(shipment);
        this.#reachable = true;
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        this.#inFlight.delete(shipment);
        // Without a token of their own on disk (no room for it) the frames go alone.
        if (shipment.files.length > 1 && shipment.group === undefined)
          this.#again.push(...shipment.files.map((file) => ({ files: [file] })));
        else this.#again.push(shipment);
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

  /** Gives frames that travel together a token, on disk before anything is sent. */
  async #join(shipment: Shipment): Promise<Shipment> {
    this.#sequence += 1;
    const token = `${this.#tokenBase}:g${this.#sequence}`;
    const frames = shipment.files.map((file) => file.name);
    return { ...shipment, token, group: await this.#options.spool.writeGroup({ token, frames }) };
  }

  async #ship({ files, group, token }: Shipment): Promise<void> {
    const { spool } = this.#options;
    const whole: { file: Waiting; header: FrameHeader; block: Uint8Array }[] = [];
    for (const file of [...files]) {
      const frame = await spool.read(file.name);
      if ('damage' in frame) {
        // Once, whatever becomes of the others.
        files.splice(files.indexOf(file), 1);
        await this.#giveUp(file, 'spool_damaged');
        await spool.setAside(file.name, frame.damage);
      } else {
        whole.push({ file, ...frame });
      }
    }
    const refused: Refused[] = [];
    if (token !== undefined) refused.push(...(await this.#insertTogether(whole, token)));
    else {
      for (const { file, header, block } of whole)
        refused.push(await this.#insert(file.name, header, block, header.rows));
    }
    const names = whole.map(({ file }) => file.name);
    if (group === undefined) for (const name of names) await spool.remove(name);
    else await spool.removeGroup(group, names);
    for (const [i, { file, header }] of whole.entries()) this.#account(file, header, refused[i]!);
  }

  /** One INSERT of several frames; what was refused of each. Refused as a whole, they go one by one. */
  async #insertTogether(
    frames: readonly { file: Waiting; header: FrameHeader; block: Uint8Array }[],
    token: string,
  ): Promise<Refused[]> {
    const first = frames[0];
    if (first === undefined) return [];
    try {
      const { table, columns } = first.header;
      const block = Buffer.concat(frames.map((frame) => frame.block));
      const { signal } = this.#hangUp;
      await this.#options.client.insertBlock(table, columns, block, token, { signal });
      return frames.map(() => NOTHING_REFUSED);
    } catch (error) {
      if (!isPoison(error)) throw error;
      const refused: Refused[] = [];
      for (const [i, { file, header, block }] of frames.entries()) {
        const own = { ...header, token: `${token}:${i}` };
        refused.push(await this.#insert(file.name, own, block, header.rows));
      }
      return refused;
    }
  }

  #account(file: Waiting, header: FrameHeader, refused: Refused): void {
    this.#spoolBytes -= file.bytes;
    if (file.header === undefined) {
      this.#recoveredRecords += header.rows - refused.rows;
      return;
    }
    this.#storedPackets += header.packets - refused.packets;
    this.#storedRecords += header.rows - refused.rows;
    if (refused.rows > 0) this.#count('refused', refused.packets, refused.octets);
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
