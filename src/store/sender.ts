import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { type Observe, timed } from '../base/observe.js';
import type { StoreClient } from './client.js';
import type { Shipment, Waiting } from './frame-queue.js';
import type { Ledger } from './ledger.js';
import { halves, isPoison, NOTHING_REFUSED, type Refused, refusedOf } from './poison.js';
import type { FrameHeader, Spool } from './spool.js';

/** What a sender needs of the store. */
export type FrameClient = Pick<StoreClient, 'insertBlock' | 'insertFiles'>;

export interface SenderOptions {
  readonly spool: Spool;
  readonly client: FrameClient;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly observe?: Observe | undefined;
  /** Told when ClickHouse has answered an INSERT, before what it took is counted as stored. */
  readonly answered?: () => void;
}

/**
 * Brings one shipment into ClickHouse and out of the spool. A block that is refused for its content is halved until the
 * rows at fault stand alone; those are set aside with the reason, and the rest goes on.
 */
export class Sender {
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * When it resolves, nothing of the shipment is in the spool any more. Throws when ClickHouse did not take it: then it is
   * to be sent again as it is, less frames that turned out to be damaged.
   */
  async ship({ frames, group, token }: Shipment, signal: AbortSignal): Promise<void> {
    const { spool, ledger } = this.#options;
    for (const frame of [...frames]) {
      const damage = await spool.damage(frame.file);
      if (damage === undefined) continue;
      // Once, whatever becomes of the others.
      frames.splice(frames.indexOf(frame), 1);
      this.giveUp(frame, 'spool_damaged');
      await spool.setAside(frame.file.name, damage);
    }
    const refused =
      token === undefined
        ? await this.#insertEach(frames, (frame) => frame.file.header.token, signal)
        : await this.#insertTogether(frames, token, signal);
    const names = frames.map(({ file }) => file.name);
    if (group === undefined) for (const name of names) await spool.remove(name);
    else await spool.removeGroup(group, names);
    for (const [i, { file, own }] of frames.entries()) {
      ledger.spoolBytes -= file.bytes;
      ledger.stored(file.header, own, refused[i]!);
    }
  }

  /** Counts a frame that will not be sent. Its files are the caller's business. */
  giveUp({ file, own }: Waiting, reason: string): void {
    const { ledger, logger } = this.#options;
    const { packets, octets, rows } = file.header;
    // Only packets that this process counted as seen can be lost in its balance.
    if (own) ledger.lose(reason, packets, octets);
    ledger.spoolBytes -= file.bytes;
    logger.error(
      { code: 'TG_STORE_LOST', reason, frame: file.name, packets, rows },
      'a frame of flow records is lost and counted',
    );
  }

  async #insertEach(
    frames: readonly Waiting[],
    tokenOf: (frame: Waiting, index: number) => string,
    signal: AbortSignal,
  ): Promise<Refused[]> {
    const refused: Refused[] = [];
    for (const [i, frame] of frames.entries()) {
      const { file } = frame;
      const header = { ...file.header, token: tokenOf(frame, i) };
      try {
        await this.#insertFiles([frame], header.token, signal);
        refused.push(NOTHING_REFUSED);
      } catch (error) {
        if (!isPoison(error)) throw error;
        refused.push(
          await this.#bisect(file.name, header, await this.#options.spool.block(file), error, signal),
        );
      }
    }
    return refused;
  }

  /** One INSERT of several frames; what was refused of each. Refused as a whole, they go one by one. */
  async #insertTogether(frames: readonly Waiting[], token: string, signal: AbortSignal): Promise<Refused[]> {
    if (frames.length === 0) return [];
    try {
      await this.#insertFiles(frames, token, signal);
      return frames.map(() => NOTHING_REFUSED);
    } catch (error) {
      if (!isPoison(error)) throw error;
      return this.#insertEach(frames, (_frame, i) => `${token}:${i}`, signal);
    }
  }

  async #insertFiles(frames: readonly Waiting[], token: string, signal: AbortSignal): Promise<void> {
    const { spool, client } = this.#options;
    const { table, columns } = frames[0]!.file.header;
    const files = { paths: frames.map(({ file }) => spool.blockPath(file)), packed: frames[0]!.file.packed };
    try {
      await timed(this.#options.observe, 'store_insert_duration_seconds', () =>
        client.insertFiles(table, columns, files, token, { signal }),
      );
    } catch (error) {
      if (isPoison(error)) this.#options.answered?.();
      throw error;
    }
    this.#options.answered?.();
  }

  /** Both halves of a block that was refused. They have tokens of their own, the same at every attempt. */
  async #bisect(
    name: string,
    header: FrameHeader,
    block: Uint8Array,
    reason: unknown,
    signal: AbortSignal,
  ): Promise<Refused> {
    const parts = header.rows > 1 ? halves(block) : undefined;
    if (parts === undefined) return this.#setAside(name, header, block, reason);
    const total = { rows: 0, packets: 0, octets: 0 };
    for (const [suffix, part, rows] of parts) {
      const half = { ...header, rows, token: `${header.token}:${suffix}` };
      let refused = NOTHING_REFUSED;
      try {
        await this.#options.client.insertBlock(half.table, half.columns, part, half.token, { signal });
      } catch (error) {
        if (!isPoison(error)) throw error;
        refused = await this.#bisect(name, half, part, error, signal);
      }
      total.rows += refused.rows;
      total.packets += refused.packets;
      total.octets += refused.octets;
    }
    return total;
  }

  async #setAside(name: string, header: FrameHeader, block: Uint8Array, reason: unknown): Promise<Refused> {
    const part = header.token.split(':').slice(3).join('');
    await this.#options.spool.setRowsAside(`${name}.${part}`, block, messageOf(reason));
    this.#options.logger.error(
      { code: 'TG_STORE_REFUSED', frame: name, rows: header.rows, reason: messageOf(reason) },
      'records are refused for their content and set aside',
    );
    return refusedOf(header, block, header.rows);
  }
}
