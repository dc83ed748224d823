import { join, resolve } from 'node:path';
import type { Component } from '../base/component.js';
import { TidegateError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { Observe } from '../base/observe.js';
import { type StoreAccess, StoreClient } from './client.js';
import type { StoreConfig } from './config.js';
import { DirectoryLock } from './directory-lock.js';
import { EmbeddedEngine } from './embedded/engine.js';
import { accessError, clickhouseCode } from './errors.js';
import { migrate, refuseOldServer } from './migrate.js';
import { Retention } from './retention.js';
import { EXPIRY_DAYS, localTable } from './schema/index.js';
import { Spool } from './spool.js';
import { BatchWriter } from './writer.js';

export interface StoreOptions {
  readonly config: StoreConfig;
  readonly dataDirectory: string;
  readonly gateway: string;
  readonly logger: Logger;
  readonly observe?: Observe;
}

/** UNKNOWN_TABLE, UNKNOWN_DATABASE, NO_SUCH_COLUMN_IN_TABLE. */
const SCHEMA_LOST = new Set([16, 60, 81]);

const RETENTION_INTERVAL_MS = 600_000;

/**
 * History in ClickHouse: an embedded engine or a server, the schema, and the spool in front of it. A server that is
 * away at the start is no reason not to measure: records go to the spool, and the schema follows when it answers.
 */
export class Store implements Component {
  readonly kind: 'embedded' | 'server';
  readonly writer: BatchWriter;
  readonly #options: StoreOptions;
  readonly #engine: EmbeddedEngine | undefined;
  readonly #lock: DirectoryLock;
  readonly #retention: Retention;
  #reader: StoreClient | undefined;
  #client: StoreClient | undefined;
  #migrated: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #ready = false;
  #problem: TidegateError | undefined;

  constructor(options: StoreOptions) {
    const { config, dataDirectory, gateway, logger } = options;
    this.#options = options;
    this.kind = config.url === undefined ? 'embedded' : 'server';
    if (config.url === undefined) {
      this.#engine = new EmbeddedEngine({
        directory: join(dataDirectory, 'clickhouse'),
        port: config.port,
        maxMemoryBytes: config.memoryLimit,
        logger,
      });
    }
    this.#lock = new DirectoryLock(join(dataDirectory, 'gateway.lock'));
    this.#retention = new Retention({
      client: () => this.client,
      database: config.database,
      gateway,
      budgets: Object.fromEntries(
        Object.entries(config.retention).map(([table, bytes]) => [localTable(table, config), bytes]),
      ),
      expiryDays: new Map([...EXPIRY_DAYS].map(([table, days]) => [localTable(table, config), days])),
      archive: config.archive,
      intervalMs: RETENTION_INTERVAL_MS,
      logger,
    });
    this.writer = new BatchWriter({
      spool: new Spool(resolve(dataDirectory, 'spool'), config.fsync),
      client: {
        insertBlock: (table, ...rest) =>
          this.#insert((client) => client.insertBlock(localTable(table, config), ...rest)),
        insertFiles: (table, ...rest) =>
          this.#insert((client) => client.insertFiles(localTable(table, config), ...rest)),
      },
      gateway,
      spoolLimitBytes: config.spoolLimit,
      spoolAgeMs: config.spoolAge,
      logger,
      observe: options.observe,
    });
  }

  /** The client with the right to write. */
  get client(): StoreClient {
    this.#client ??= new StoreClient(this.#access());
    return this.#client;
  }

  /** The client of the read-only user (on a server: the configured user). For queries that people write. */
  get reader(): StoreClient {
    this.#reader ??= new StoreClient(this.endpoint());
    return this.#reader;
  }

  /** Whether the schema stands and the store answered last time. */
  get ready(): boolean {
    return this.#ready && this.writer.counters().reachable;
  }

  /** What kept the schema from being made the last time it was tried, with its remedy. */
  get problem(): TidegateError | undefined {
    return this.#problem;
  }

  /** Process of the embedded engine while it runs. */
  get enginePid(): number | undefined {
    return this.#engine?.pid;
  }

  async start(): Promise<void> {
    this.#lock.acquire();
    try {
      await this.#engine?.start();
      await this.#begin();
    } catch (error) {
      await this.#engine?.stop();
      this.#lock.release();
      throw error;
    }
    await this.writer.start();
    await this.#retention.start();
  }

  async #begin(): Promise<void> {
    try {
      await this.#migrate();
    } catch (error) {
      if (this.#engine) throw error;
      const { code, message, hint } = this.#problem ?? { message: String(error) };
      this.#options.logger.error(
        { code, reason: message, hint },
        'the store cannot be used; measuring goes on into the spool',
      );
      this.#retry = setInterval(() => void this.#migrate().catch(() => {}), 5_000);
      this.#retry.unref();
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#retry);
    await this.#retention.stop();
    await this.writer.stop();
    await this.#client?.close();
    await this.#reader?.close();
    this.#client = undefined;
    this.#reader = undefined;
    await this.#engine?.stop();
    this.#lock.release();
  }

  /** Access for queries: the embedded engine's read-only user, or the configured user of a server. */
  endpoint(): StoreAccess {
    return this.#engine
      ? { ...this.#access(), user: 'reader', password: this.#engine.credentials.reader }
      : this.#access();
  }

  #access(): StoreAccess {
    const { url, replicas, user, password, database } = this.#options.config;
    return this.#engine
      ? {
          url: this.#engine.url,
          user: 'tidegate',
          password: this.#engine.credentials.writer,
          database,
          readsFiles: true,
        }
      : { url: url!, replicas, user, password, database };
  }

  async #migrate(): Promise<void> {
    this.#migrated ??= (async () => {
      const access = this.#access();
      const admin = new StoreClient({ ...access, database: 'default' });
      try {
        await refuseOldServer(admin, access.url);
        const { config, gateway, logger } = this.#options;
        const placement = { database: config.database, cluster: config.cluster };
        await migrate(admin, this.client, placement, gateway, logger);
        this.#ready = true;
        this.#problem = undefined;
        clearInterval(this.#retry);
      } catch (error) {
        const known = accessError(error, access);
        this.#problem = known instanceof TidegateError ? known : undefined;
        throw known;
      } finally {
        await admin.close();
      }
    })();
    try {
      await this.#migrated;
    } catch (error) {
      this.#migrated = undefined;
      throw error;
    }
  }

  /** On a cluster into the shard's own table: a token is only known to the replicas of one shard. */
  async #insert(work: (client: StoreClient) => Promise<void>): Promise<void> {
    if (!this.#ready) await this.#migrate();
    try {
      await work(this.client);
    } catch (error) {
      // Somebody dropped a table or a column: make the schema whole before the next attempt.
      if (SCHEMA_LOST.has(clickhouseCode((error as Error).cause ?? error))) {
        this.#ready = false;
        this.#migrated = undefined;
      }
      throw error;
    }
  }
}
