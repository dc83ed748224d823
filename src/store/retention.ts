import { join } from 'node:path';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { StoreClient } from './client.js';

export interface RetentionOptions {
  readonly client: () => StoreClient;
  readonly database: string;
  readonly gateway: string;
  /** Octets on disk that each table may take, by the name of the table that holds the rows. */
  readonly budgets: Readonly<Record<string, number>>;
  /** Where partitions are written as Parquet before they are dropped; absent = they are not. */
  readonly archive?: string | undefined;
  readonly intervalMs: number;
  readonly logger: Logger;
}

export interface DroppedPartition {
  readonly table: string;
  readonly partition: string;
  readonly rows: number;
  readonly bytes: number;
  readonly archived: string | undefined;
}

interface Partition {
  readonly id: string;
  readonly rows: number;
  readonly bytes: number;
}

/**
 * Keeps tables within their budget on disk by dropping their oldest partitions; age is ClickHouse's own business (TTL).
 * The newest partition always stays. One that is to be archived is dropped only after its archive holds every row.
 */
export class Retention implements Component {
  readonly #options: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => {
      this.#running = this.runOnce().catch((error: unknown) =>
        this.#options.logger.warn({ reason: messageOf(error) }, 'retention could not be looked after'),
      );
    }, this.#options.intervalMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Drops what is over budget now. */
  async runOnce(): Promise<DroppedPartition[]> {
    const dropped: DroppedPartition[] = [];
    for (const [table, budget] of Object.entries(this.#options.budgets)) {
      const partitions = await this.#partitions(table);
      let bytes = partitions.reduce((sum, partition) => sum + partition.bytes, 0);
      for (const partition of partitions.slice(0, -1)) {
        if (bytes <= budget) break;
        dropped.push(await this.#drop(table, partition));
        bytes -= partition.bytes;
      }
    }
    return dropped;
  }

  /** Oldest first: partitions are days, whose ids sort as they follow each other. */
  async #partitions(table: string): Promise<Partition[]> {
    const rows = await this.#options.client().query<{ id: string; rows: string; bytes: string }>(
      `SELECT partition_id AS id, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts
       WHERE active AND database = {database:String} AND table = {table:String} GROUP BY id ORDER BY id`,
      { params: { database: this.#options.database, table } },
    );
    return rows.map(({ id, ...sizes }) => ({ id, rows: Number(sizes.rows), bytes: Number(sizes.bytes) }));
  }

  async #drop(table: string, partition: Partition): Promise<DroppedPartition> {
    const { archive, client, gateway, logger } = this.#options;
    let archived: string | undefined;
    if (archive !== undefined) {
      archived = join(archive, `${table}-${partition.id}-${Date.now()}.parquet`);
      const file = `file('${archived.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}', 'Parquet')`;
      await client().command(
        `INSERT INTO FUNCTION ${file} SELECT * FROM ${table} WHERE _partition_id = '${partition.id}'`,
      );
      const [count] = await client().query<{ n: string }>(`SELECT count() AS n FROM ${file}`);
      if (Number(count?.n) < partition.rows) {
        throw new Error(`${archived} holds ${count?.n} of ${partition.rows} rows; the partition stays`);
      }
    }
    await client().command(`ALTER TABLE ${table} DROP PARTITION ID '${partition.id}'`);
    const result = { table, partition: partition.id, rows: partition.rows, bytes: partition.bytes, archived };
    logger.warn(result, 'the oldest day of a table is dropped: it was over its budget on disk');
    await client().insertRows('events', [
      {
        time: new Date().toISOString(),
        gateway,
        kind: 'retention',
        workloadId: 0,
        words: `${table}: day ${partition.id} with ${partition.rows} rows dropped, the table was over its budget`,
        details: JSON.stringify(result),
      },
    ]);
    return result;
  }
}
