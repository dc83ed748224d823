import { join } from 'node:path';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { StoreClient } from './client.js';
import { clickhouseCode } from './errors.js';

export interface RetentionOptions {
  readonly client: () => StoreClient;
  readonly database: string;
  readonly gateway: string;
  /** Octets on disk that each table may take, by the name of the table that holds the rows. */
  readonly budgets: Readonly<Record<string, number>>;
  /** Days after which a table's rows expire, by the same name; absent = they do not. */
  readonly expiryDays?: ReadonlyMap<string, number>;
  /** Where partitions are written as Parquet before they are dropped or expire; absent = they are not. */
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

const DAY_MS = 86_400_000;
/** A partition is archived so long before its first rows may expire: ClickHouse looks for them every few hours. */
const ARCHIVE_AHEAD_MS = DAY_MS;
/** FILE_DOESNT_EXIST, CANNOT_EXTRACT_TABLE_STRUCTURE, CANNOT_STAT: there is no such archive. */
const NO_FILE = new Set([107, 400, 636]);

/** When the first row of a partition by day, month or year can be from; `undefined` for another one. */
function beginOf(id: string): number | undefined {
  const [, year, month = '01', day = '01'] = /^(\d{4})(\d\d)?(\d\d)?$/.exec(id) ?? [];
  return year === undefined ? undefined : Date.UTC(Number(year), Number(month) - 1, Number(day));
}

/**
 * Keeps tables within their budget on disk by dropping their oldest partitions; age is ClickHouse's own business (TTL),
 * here it is only archived in time, if at all. The newest partition always stays. One that is to be archived is dropped
 * only after its archive holds every row.
 */
export class Retention implements Component {
  readonly #options: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();
  /** Archives by table, partition and rows, once they are known to be whole. */
  readonly #archived = new Map<string, string>();

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

  /** Archives what will expire, and drops what is over budget now. */
  async runOnce(): Promise<DroppedPartition[]> {
    const dropped: DroppedPartition[] = [];
    for (const [table, budget] of Object.entries(this.#options.budgets)) {
      const partitions = await this.#partitions(table);
      await this.#archiveExpiring(table, partitions);
      let bytes = partitions.reduce((sum, partition) => sum + partition.bytes, 0);
      for (const partition of partitions.slice(0, -1)) {
        if (bytes <= budget) break;
        dropped.push(await this.#drop(table, partition));
        bytes -= partition.bytes;
      }
    }
    return dropped;
  }

  /** Oldest first: partitions are days, months or years, whose ids sort as they follow each other. */
  async #partitions(table: string): Promise<Partition[]> {
    const rows = await this.#options.client().query<{ id: string; rows: string; bytes: string }>(
      `SELECT partition_id AS id, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts
       WHERE active AND database = {database:String} AND table = {table:String} GROUP BY id ORDER BY id`,
      { params: { database: this.#options.database, table } },
    );
    return rows.map(({ id, ...sizes }) => ({ id, rows: Number(sizes.rows), bytes: Number(sizes.bytes) }));
  }

  async #archiveExpiring(table: string, partitions: readonly Partition[]): Promise<void> {
    const { archive, expiryDays } = this.#options;
    const days = expiryDays?.get(table);
    if (archive === undefined || days === undefined) return;
    for (const partition of partitions) {
      const begin = beginOf(partition.id);
      if (begin === undefined || begin + days * DAY_MS > Date.now() + ARCHIVE_AHEAD_MS) continue;
      await this.#archive(
        table,
        partition,
        join(archive, `${table}-${partition.id}-${partition.rows}.parquet`),
      );
    }
  }

  /** Writes a partition as Parquet, unless that is done already. @returns where it is */
  async #archive(table: string, partition: Partition, path: string): Promise<string> {
    const { client } = this.#options;
    const key = `${table} ${partition.id} ${partition.rows}`;
    const known = this.#archived.get(key);
    if (known !== undefined) return known;
    const file = `file('${path.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}', 'Parquet')`;
    const held = async (): Promise<number> =>
      Number((await client().query<{ n: string }>(`SELECT count() AS n FROM ${file}`))[0]?.n);
    const before = await held().catch((error: unknown) => {
      if (NO_FILE.has(clickhouseCode((error as Error).cause ?? error))) return 0;
      throw error;
    });
    if (before < partition.rows) {
      await client().command(
        `INSERT INTO FUNCTION ${file} SELECT * FROM ${table} WHERE _partition_id = '${partition.id}' SETTINGS engine_file_truncate_on_insert = 1`,
      );
      const rows = await held();
      if (rows < partition.rows) {
        throw new Error(`${path} holds ${rows} of ${partition.rows} rows; the partition stays`);
      }
    }
    this.#archived.set(key, path);
    return path;
  }

  async #drop(table: string, partition: Partition): Promise<DroppedPartition> {
    const { archive, client, gateway, logger } = this.#options;
    // A name of its own: a partition that was dropped once may fill again.
    const name = `${table}-${partition.id}-${partition.rows}-${Date.now()}.parquet`;
    const archived =
      archive === undefined ? undefined : await this.#archive(table, partition, join(archive, name));
    await client().command(`ALTER TABLE ${table} DROP PARTITION ID '${partition.id}'`);
    this.#archived.delete(`${table} ${partition.id} ${partition.rows}`);
    const result = { table, partition: partition.id, rows: partition.rows, bytes: partition.bytes, archived };
    logger.warn(result, 'the oldest partition of a table is dropped: the table was over its budget on disk');
    await client().insertRows('events', [
      {
        time: new Date().toISOString(),
        gateway,
        kind: 'retention',
        workloadId: 0,
        words: `${table}: partition ${partition.id} with ${partition.rows} rows dropped, the table was over its budget`,
        details: JSON.stringify(result),
      },
    ]);
    return result;
  }
}
