import { Readable } from 'node:stream';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { asStoreError } from './errors.js';
import { infileOf, insertHead, insertStream, streamOf } from './insert.js';

export interface StoreAccess {
  readonly url: string;
  /** Replicas with the same data, asked in turn when `url` does not answer. */
  readonly replicas?: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Whether the engine runs on this host and may read its files. */
  readonly readsFiles?: boolean;
}

export interface QueryOptions {
  /** Server-side parameters, `{name:Type}` in the SQL. */
  readonly params?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** No more rows than these; the rest is not computed further than to the end of a block. Only for `text`. */
  readonly maximumRows?: number;
  /** Whatever the user may do, this statement only reads. Only for `text`. */
  readonly readonly?: boolean;
}

export interface InsertOptions {
  readonly signal?: AbortSignal;
}

/** Files of Native blocks, all of them plain or all in zstd. */
export interface BlockFiles {
  readonly paths: readonly string[];
  readonly packed: boolean;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * ClickHouse as Tidegate uses it, the same for the embedded engine, a server and a cluster. 64-bit integers come
 * back as decimal strings (exact); cast to a smaller type in SQL where a number is wanted.
 */
export class StoreClient {
  readonly #clients: readonly ClickHouseClient[];
  readonly #urls: readonly string[];
  readonly #readsFiles: boolean;
  /** The replica that answered last. */
  #current = 0;

  constructor(access: StoreAccess) {
    this.#urls = [access.url, ...(access.replicas ?? [])];
    this.#readsFiles = access.readsFiles ?? false;
    this.#clients = this.#urls.map((url) =>
      createClient({
        url,
        username: access.user,
        password: access.password,
        database: access.database,
        application: 'tidegate',
        request_timeout: 120_000,
        // Every failure reaches the caller as an error; the client's own log would say it twice.
        log: { level: ClickHouseLogLevel.OFF },
        max_open_connections: 8,
        compression: { request: false, response: false },
      }),
    );
  }

  /** Rows as objects. @throws TG_STORE_QUERY, TG_STORE_UNREACHABLE */
  async query<Row>(sql: string, options: QueryOptions = {}): Promise<Row[]> {
    return this.#guard('any', async (client) => {
      const result = await client.query({
        query: sql,
        format: 'JSONEachRow',
        ...(options.params ? { query_params: { ...options.params } } : {}),
        ...(options.signal ? { abort_signal: options.signal } : {}),
        clickhouse_settings: {
          output_format_json_quote_64bit_integers: 1,
          max_execution_time: Math.ceil((options.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000),
        },
      });
      return (await result.json<Row>()) as Row[];
    });
  }

  /** The answer as the engine formats it, for people: CSV, Pretty, whatever. */
  async text(
    sql: string,
    format: 'CSVWithNames' | 'JSON' | 'JSONCompact' | 'PrettyCompactMonoBlock',
    options: QueryOptions = {},
  ): Promise<string> {
    return this.#guard('any', async (client) => {
      const result = await client.query({
        query: sql,
        format: format as 'JSON',
        ...(options.signal ? { abort_signal: options.signal } : {}),
        clickhouse_settings: {
          output_format_json_quote_64bit_integers: 1,
          max_execution_time: Math.ceil((options.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000),
          ...(options.maximumRows === undefined
            ? {}
            : { max_result_rows: String(options.maximumRows), result_overflow_mode: 'break' }),
          ...(options.readonly === true ? { readonly: '2' } : {}),
        },
      });
      return result.text();
    });
  }

  /** The answer in ClickHouse's RowBinary format, for columns that are copied as they lie. */
  async rowBinary(sql: string, options: QueryOptions = {}): Promise<Buffer> {
    return this.#guard('any', async (client) => {
      const { stream } = await client.exec({
        query: `${sql} FORMAT RowBinary`,
        ...(options.params ? { query_params: { ...options.params } } : {}),
        ...(options.signal ? { abort_signal: options.signal } : {}),
        clickhouse_settings: {
          max_execution_time: Math.ceil((options.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000),
        },
      });
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks);
    });
  }

  /** A statement without a result, idempotent: it may run twice when a replica goes away meanwhile. */
  async command(sql: string): Promise<void> {
    await this.#guard('any', (client) =>
      client.command({ query: sql, clickhouse_settings: { wait_end_of_query: 1 } }),
    );
  }

  /** Rows of a small control table. Not for flows: see {@link insertBlock}. */
  async insertRows(table: string, rows: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
    if (rows.length === 0) return;
    await this.#guard('one', (client) =>
      client.insert({
        table,
        values: [...rows],
        format: 'JSONEachRow',
        clickhouse_settings: { async_insert: 0, date_time_input_format: 'best_effort' },
      }),
    );
  }

  /**
   * One Native block as one INSERT. The same token must never carry other rows: ClickHouse drops a token it has seen,
   * which is what makes a retry safe.
   */
  async insertBlock(
    table: string,
    columns: readonly string[],
    block: Uint8Array,
    token: string,
    options: InsertOptions = {},
  ): Promise<void> {
    await this.#guard('any', (client) =>
      insertStream(
        client,
        insertHead(table, columns, token),
        Readable.from([block], { objectMode: false }),
        options,
      ),
    );
  }

  /**
   * The Native blocks of several files as one INSERT under one token, which must never carry other rows. An engine on
   * this host reads the files itself; a server is sent them, compressed as they lie.
   */
  async insertFiles(
    table: string,
    columns: readonly string[],
    files: BlockFiles,
    token: string,
    options: InsertOptions = {},
  ): Promise<void> {
    const infile = this.#readsFiles ? infileOf(files) : undefined;
    if (infile !== undefined) {
      const query = insertHead(table, columns, token, infile);
      await this.#guard('any', async (client) => {
        await client.command({ query, ...(options.signal ? { abort_signal: options.signal } : {}) });
      });
      return;
    }
    const headers = files.packed ? { 'Content-Encoding': 'zstd' } : undefined;
    await this.#guard('any', (client) =>
      insertStream(client, insertHead(table, columns, token), streamOf(files.paths), options, headers),
    );
  }

  async ping(): Promise<boolean> {
    const result = await this.#clients[this.#current]!.ping();
    return result.success;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /**
   * Errors as ours. A replica that does not answer is left for the next one; `any` says that the work may be tried
   * there at once because doing it twice does no harm.
   */
  async #guard<T>(tries: 'any' | 'one', work: (client: ClickHouseClient) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const current = this.#current;
      try {
        return await work(this.#clients[current]!);
      } catch (error) {
        const known = asStoreError(error, this.#urls[current]!);
        if (known.code !== 'TG_STORE_UNREACHABLE') throw known;
        this.#current = (current + 1) % this.#clients.length;
        if (tries === 'one' || attempt >= this.#clients.length) throw known;
      }
    }
  }
}
