import { setTimeout as sleep } from 'node:timers/promises';
import type { Component } from '../base/component.js';
import { messageOf, TidegateError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { Observe } from '../base/observe.js';
import { FrameQueue, type Lane, type Shipment, type Waiting } from './frame-queue.js';
import { type FlowFrame, Intake } from './intake.js';
import { Ledger, type WriterCounters } from './ledger.js';
import { Packer } from './packer.js';
import { type FrameClient, Sender } from './sender.js';
import type { Spool } from './spool.js';

export interface WriterOptions {
  readonly spool: Spool;
  readonly client: FrameClient;
  readonly gateway: string;
  readonly spoolLimitBytes: number;
  /** Frames that have waited longer are given up; tables recognise what is sent twice for as long. */
  readonly spoolAgeMs: number;
  readonly logger: Logger;
  readonly observe?: Observe | undefined;
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** Shipments under way at once; with a backlog one sender takes the oldest frames, the other what has just come. */
const SENDERS: readonly Lane[] = ['oldest', 'fresh'];
const STOP_PATIENCE_MS = 5_000;
const PATIENCE_CHECK_MS = 100;

/**
 * Write-ahead spool, then INSERT with a token of its own. A frame leaves the spool only after ClickHouse has
 * acknowledged it, and a frame that is sent twice is stored once, so neither a crash of ours nor one of the store
 * loses or doubles a record. Small frames travel together, under a token and in a company that are written down before
 * the first attempt and never change. What happens when ClickHouse stays away, in this order, each step counted: the
 * backlog is compressed (nothing is lost); from half the limit on, new records lose their fingerprint and histograms; at
 * the limit the oldest frame goes; and so does one that is older than the age limit.
 */
export class BatchWriter implements Component {
  readonly #options: WriterOptions;
  readonly #ledger = new Ledger();
  readonly #queue = new FrameQueue();
  readonly #sender: Sender;
  readonly #idle: (() => void)[] = [];
  /** Shipments that were tried, or were left by an earlier process. */
  readonly #again: Shipment[] = [];
  readonly #inFlight = new Set<Shipment>();
  readonly #packer: Packer;
  readonly #intake: Intake;
  /** Callers of drain: nothing lingers while there are any. */
  #drainers = 0;
  readonly #sleepers: (() => void)[] = [];
  #loops: Promise<void>[] = [];
  #stopping = new AbortController();
  #hangUp = new AbortController();
  /** Since when ClickHouse takes nothing, of the monotonic clock. */
  #unreachableMs: number | undefined;
  /** When it took something last, of the same clock. */
  #answeredMs = Number.NEGATIVE_INFINITY;
  #sequence = 0;
  readonly #tokenBase: string;

  constructor(options: WriterOptions) {
    this.#options = options;
    const { spool, client, logger, observe } = options;
    const answered = (): void => {
      this.#answeredMs = performance.now();
      this.#unreachableMs = undefined;
    };
    this.#sender = new Sender({ spool, client, logger, observe, answered, ledger: this.#ledger });
    this.#intake = new Intake({
      spool,
      queue: this.#queue,
      ledger: this.#ledger,
      spoolLimitBytes: options.spoolLimitBytes,
      spoolAgeMs: options.spoolAgeMs,
      logger,
      giveUp: (frame, reason) => this.#sender.giveUp(frame, reason),
    });
    this.#packer = new Packer({
      spool,
      queue: this.#queue,
      ledger: this.#ledger,
      logger,
      away: () => this.#unreachableMs !== undefined,
      onPacked: () => this.#wake(),
    });
    this.#tokenBase = `${options.gateway.replace(/[^\w.-]/g, '_')}:${Date.now().toString(36)}-${process.pid}`;
  }

  async start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#hangUp = new AbortController();
    const { spool, logger } = this.#options;
    const found = await spool.open();
    for (const name of found.damaged) {
      logger.error(
        { code: 'TG_STORE_LOST', frame: name },
        'the header of a frame is damaged, it is set aside',
      );
      await spool.setAside(name, 'the header is damaged');
    }
    const left = new Map<string, Waiting>();
    for (const file of found.frames) {
      left.set(file.name, { file, own: false, queuedMs: Number.NEGATIVE_INFINITY });
      this.#ledger.spoolBytes += file.bytes;
      this.#intake.remember(file.header);
    }
    for (const { name, token, frames } of found.groups) {
      const members = frames.flatMap((frame) => left.get(frame) ?? []);
      for (const frame of frames) left.delete(frame);
      this.#again.push({ frames: members, group: name, token });
    }
    this.#queue.push(...left.values());
    if (this.#frames > 0)
      logger.info({ frames: this.#frames }, 'sending what an earlier process left in the spool');
    this.#loops = [...SENDERS.map((lane) => this.#send(lane)), this.#packer.run(this.#stopping.signal)];
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
    await this.#intake.append(frame, `${this.#tokenBase}:${this.#sequence}`, this.#stopping.signal);
    this.#wake();
  }

  /**
   * Resolves true when the spool is empty; false when `timeoutMs` went by before, or when ClickHouse took nothing for
   * `patienceMs` of it.
   */
  async drain(timeoutMs: number, patienceMs = timeoutMs): Promise<boolean> {
    if (this.#frames === 0) return true;
    const begin = performance.now();
    this.#drainers += 1;
    this.#wake();
    let check: NodeJS.Timeout | undefined;
    const result = await new Promise<boolean>((resolve) => {
      this.#idle.push(() => resolve(true));
      check = setInterval(() => {
        const now = performance.now();
        const away = this.#unreachableMs === undefined ? 0 : now - Math.max(begin, this.#unreachableMs);
        if (now - begin >= timeoutMs || away >= patienceMs) resolve(false);
      }, PATIENCE_CHECK_MS);
    });
    clearInterval(check);
    this.#drainers -= 1;
    return result;
  }

  counters(): WriterCounters {
    return this.#ledger.counters(this.#frames, this.#unreachableMs === undefined);
  }

  /** Gives up what was tried so long ago that ClickHouse may no longer know its token. */
  async #expire(): Promise<void> {
    const { spool, spoolAgeMs } = this.#options;
    for (const shipment of [...this.#again]) {
      const oldest = shipment.frames[0];
      if (oldest === undefined || Date.now() - oldest.file.writtenMs <= spoolAgeMs) continue;
      this.#again.splice(this.#again.indexOf(shipment), 1);
      for (const frame of shipment.frames) this.#sender.giveUp(frame, 'spool_age');
      const names = shipment.frames.map(({ file }) => file.name);
      if (shipment.group === undefined) for (const name of names) await spool.remove(name);
      else await spool.removeGroup(shipment.group, names);
    }
  }

  get #frames(): number {
    let frames = this.#queue.length + this.#packer.frames;
    for (const shipment of this.#again) frames += shipment.frames.length;
    for (const shipment of this.#inFlight) frames += shipment.frames.length;
    return frames;
  }

  #wake(): void {
    for (const wake of this.#sleepers.splice(0)) wake();
  }

  /** Sends until stopped. A shipment that fails is tried again for ever, by whichever sender comes to it. */
  async #send(lane: Lane): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      await this.#expire();
      const next = this.#again.shift() ?? this.#queue.take(lane, performance.now(), this.#drainers > 0);
      if (next === undefined || typeof next === 'number') {
        if (this.#frames === 0) for (const idle of this.#idle.splice(0)) idle();
        await this.#sleep(next);
        continue;
      }
      const triedMs = performance.now();
      let shipment: Shipment = 'frames' in next ? next : { frames: [...next] };
      this.#inFlight.add(shipment);
      try {
        const ready = await this.#prepare(shipment);
        this.#inFlight.delete(shipment);
        this.#inFlight.add(ready);
        shipment = ready;
        await this.#sender.ship(shipment, this.#hangUp.signal);
        this.#inFlight.delete(shipment);
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        // Whoever comes to it first takes it up again: while this sender sleeps the other may have it in flight.
        this.#putBack(shipment);
        // What one sender began before the other was answered says nothing of now.
        if (triedMs > this.#answeredMs) this.#failed(error, signal);
        await sleep(retryMs * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {});
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  #putBack(shipment: Shipment): void {
    this.#inFlight.delete(shipment);
    // Without a token of their own on disk (no room for it) the frames go alone.
    if (shipment.frames.length > 1 && shipment.group === undefined)
      this.#again.push(...shipment.frames.map((frame) => ({ frames: [frame] })));
    else this.#again.push(shipment);
  }

  #failed(error: unknown, signal: AbortSignal): void {
    if (this.#unreachableMs === undefined && !signal.aborted) {
      const code = error instanceof TidegateError ? error.code : 'TG_STORE_RETRY';
      const hint = error instanceof TidegateError ? error.hint : undefined;
      this.#options.logger.warn(
        { code, reason: messageOf(error), hint },
        'the store does not take records; they stay in the spool',
      );
    }
    this.#unreachableMs ??= performance.now();
  }

  /** Until somebody appends, or for `ms`. */
  #sleep(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#sleepers.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Writes down, before anything is sent, under which token and in which company frames travel. */
  async #prepare(shipment: Shipment): Promise<Shipment> {
    const { spool } = this.#options;
    const [first, ...others] = shipment.frames;
    if (shipment.group !== undefined || first === undefined) return shipment;
    if (others.length === 0) {
      first.file = await spool.markAlone(first.file);
      return shipment;
    }
    this.#sequence += 1;
    const token = `${this.#tokenBase}:g${this.#sequence}`;
    const frames = shipment.frames.map(({ file }) => file.name);
    return { ...shipment, token, group: await spool.groups.write({ token, frames }) };
  }
}
