import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { arch, cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../../base/logger.js';
import { storeConfig } from '../config.js';
import { Store } from '../store.js';
import { benchInsert, type InsertFigures } from './insert.js';
import { benchOutage, type OutageFigures } from './outage.js';
import {
  benchNearest,
  benchQueries,
  fillFlows,
  fillVectors,
  type NearestFigures,
  type QueryFigures,
  settle,
} from './queries.js';

export interface StoreBenchOptions {
  /** Full flow records that are inserted through spool and sender. */
  readonly insertRows?: number;
  /** Flow records that the queries run over. */
  readonly queryRows?: number;
  /** Vectors that the nearest ones are looked for among. */
  readonly vectors?: number;
  /** How long ClickHouse is away while records keep coming. */
  readonly outageSeconds?: number;
  readonly logger: Logger;
  readonly progress?: (what: string) => void;
}

export interface StoreBenchResult {
  readonly insert: InsertFigures;
  /** Medians of repeated queries, warm, in ms. */
  readonly queries: QueryFigures;
  readonly nearest: NearestFigures;
  readonly outage: OutageFigures;
  readonly rows: number;
  readonly vectors: number;
  /** On disk, of the full records. */
  readonly diskBytesPerRow: number;
  /** Most memory that the engine's process had resident. */
  readonly engineMemoryBytes: number;
  readonly machine: {
    readonly cpu: string;
    readonly cpus: number;
    readonly kernel: string;
    readonly arch: string;
  };
}

/** Of the highest rate: what keeps coming around an outage. */
const LIVE_SHARE = 0.3;

/** The process's high-water mark, of `/proc/PID/status`. */
function memoryPeakBytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/**
 * The store's figures on this machine, in an embedded engine of its own in a temporary directory. Compare figures of
 * one run only.
 */
export async function benchStore(options: StoreBenchOptions): Promise<StoreBenchResult> {
  const {
    insertRows = 600_000,
    queryRows = 10_000_000,
    vectors = 1_000_000,
    outageSeconds = 30,
    logger,
    progress,
  } = options;
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-bench-'));
  const store = new Store({
    config: storeConfig.parse({}),
    dataDirectory: directory,
    gateway: 'bench',
    logger,
  });
  try {
    await store.start();
    progress?.(`inserting ${insertRows} full flow records`);
    const insert = await benchInsert(store, insertRows);
    const engineMemoryBytes = memoryPeakBytes(store.enginePid);
    const [disk] = await store.client.query<{ bytes: number }>(
      "SELECT toFloat64(sum(bytes_on_disk) / sum(rows)) AS bytes FROM system.parts WHERE active AND table = 'flows'",
    );
    // Three tenths of what it takes at best: more would be an overload, not an outage.
    const live = Math.max(1_000, Math.round(insert.rowsPerSecond * LIVE_SHARE));
    progress?.(`${outageSeconds} s without ClickHouse at ${live} records a second`);
    const outage = await benchOutage(join(directory, 'outage'), live, outageSeconds, logger);
    // The queries are over as many records as are said below, and no others.
    await store.client.command('TRUNCATE TABLE flows');
    progress?.(`making ${queryRows} flow records to ask`);
    await fillFlows(store, queryRows);
    progress?.(`making ${vectors} vectors with their index`);
    const indexSeconds = await fillVectors(store, vectors);
    progress?.('waiting for merges');
    await settle(store);
    progress?.('asking');
    const queries = await benchQueries(store);
    const nearest = { indexSeconds: Math.round(indexSeconds), ...(await benchNearest(store)) };
    return {
      insert,
      queries,
      nearest,
      outage,
      rows: queryRows,
      vectors,
      diskBytesPerRow: Math.round(disk?.bytes ?? Number.NaN),
      engineMemoryBytes,
      machine: { cpu: cpus()[0]?.model ?? 'unknown', cpus: cpus().length, kernel: release(), arch: arch() },
    };
  } finally {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
