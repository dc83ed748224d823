import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Piscina } from 'piscina';
import type { Logger } from '../../base/logger.js';
import { middleOf } from '../../base/statistics.js';
import { workerFile } from '../../base/worker-file.js';
import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import { storeConfig } from '../config.js';
import { Store } from '../store.js';
import { benchOutage, type OutageFigures } from './outage.js';
import { syntheticBatch } from './synthetic-batch.js';

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

export interface InsertFigures {
  readonly rowsPerSecond: number;
  readonly loopMaxMs: number;
  /** Of the spooled block. */
  readonly bytesPerRow: number;
  /** CPU time of the engine, user and system, merges that ran meanwhile included: steadier than rows a second on a busy machine. */
  readonly engineCpuMicrosPerRow: number;
  /** CPU time of the process that encodes, spools and sends. */
  readonly writerCpuMicrosPerRow: number;
}

export interface StoreBenchResult {
  readonly insert: InsertFigures;
  /** Medians of repeated queries, warm, in ms. */
  readonly queries: {
    readonly topTalkers1hMs: number;
    readonly perMinuteDayMs: number;
    readonly nearest1MMs: number;
  };
  readonly outage: OutageFigures;
  readonly rows: number;
  readonly vectors: number;
  /** On disk, of the full records. */
  readonly diskBytesPerRow: number;
}

const BATCH_ROWS = 50_000;
const REPEATS = 7;
/** Of the highest rate: what keeps coming around an outage. */
const LIVE_SHARE = 0.3;
/** Vectors an INSERT: its index is made before it is answered. */
const SEARCH_CHUNK = 50_000;

const round = (value: number): number => Math.round(value * 10) / 10;

/** User and system time of the engine's process; the kernel counts it in hundredths of a second. */
function engineCpuMs(store: Store): number {
  const stat = readFileSync(`/proc/${store.enginePid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Milliseconds of a query, the middle one of several after one that warms up. */
async function time(store: Store, sql: string): Promise<number> {
  await store.reader.query(sql, { timeoutMs: 120_000 });
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i += 1) {
    const begin = performance.now();
    await store.reader.query(sql, { timeoutMs: 120_000 });
    times.push(performance.now() - begin);
  }
  return middleOf(times);
}

/** From column batch to committed row: encoded in threads, spooled, inserted, with all rollups. */
export async function benchInsert(store: Store, rows: number): Promise<InsertFigures> {
  const pool = new Piscina<SharedArrayBuffer, Uint8Array>({
    filename: workerFile(import.meta.url, './encode-worker'),
    maxThreads: 1,
  });
  const batches = Array.from({ length: 4 }, (_, i) => syntheticBatch(BATCH_ROWS, i + 1, Date.now()));
  const append = async (batch: (typeof batches)[number]): Promise<number> => {
    const block = await pool.run(batch.buffer, { name: 'encode' });
    await store.writer.append({ table: 'flows', block, rows: batch.rows, packets: 0, octets: 0 });
    return block.length;
  };
  // The first insert of a table is not like the others.
  await append(batches[0]!);
  await store.writer.drain(60_000);
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const engineBefore = engineCpuMs(store);
  const ownBefore = process.cpuUsage();
  const begin = performance.now();
  let bytes = 0;
  const count = Math.max(1, Math.round(rows / BATCH_ROWS));
  for (let i = 0; i < count; i += 1) bytes += await append(batches[i % batches.length]!);
  await store.writer.drain(600_000);
  const seconds = (performance.now() - begin) / 1000;
  loop.disable();
  const own = process.cpuUsage(ownBefore);
  const engine = engineCpuMs(store) - engineBefore;
  await pool.destroy();
  return {
    rowsPerSecond: Math.round((count * BATCH_ROWS) / seconds),
    loopMaxMs: Math.round(loop.max / 1e5) / 10,
    bytesPerRow: Math.round(bytes / (count * BATCH_ROWS)),
    engineCpuMicrosPerRow: round((engine * 1000) / (count * BATCH_ROWS)),
    writerCpuMicrosPerRow: round((own.user + own.system) / (count * BATCH_ROWS)),
  };
}

/** A day of slim flow records, made inside the engine: the queries read few columns. */
async function fillFlows(store: Store, rows: number): Promise<void> {
  for (let from = 0; from < rows; from += 1_000_000) {
    const count = Math.min(1_000_000, rows - from);
    await store.client.command(
      `INSERT INTO flows (gateway, linkId, workloadId, octetsOut, octetsIn, packetsOut, packetsIn, sourceIPv6Address, destinationIPv6Address,
         destinationTransportPort, protocolIdentifier, samplingPacketInterval, flowStartNanoseconds, flowEndNanoseconds)
       SELECT 'bench', concat('link-', toString(number % 3)), toUInt32(sipHash64(number) % 50), sipHash64(number, 1) % 100000, sipHash64(number, 2) % 100000,
         number % 50, number % 60, toIPv6(concat('10.0.', toString(sipHash64(number, 3) % 256), '.', toString(sipHash64(number, 4) % 256))),
         toIPv6(concat('192.0.2.', toString(sipHash64(number, 5) % 256))), 443, 6, 1, end - 1000000, end
       FROM (SELECT number, fromUnixTimestamp64Nano(toInt64(now()) * 1000000000 - toInt64(${from} + number) * ${Math.floor(86_400e9 / rows)}) AS end FROM numbers(${count}))`,
    );
  }
}

async function fillVectors(store: Store, vectors: number): Promise<void> {
  for (let from = 0; from < vectors; from += SEARCH_CHUNK) {
    const count = Math.min(SEARCH_CHUNK, vectors - from);
    await store.client.command(
      `INSERT INTO reference_fingerprints (gateway, referenceId, workloadId, modelId, fingerprint, updated)
       SELECT 'bench', ${from} + number, number % 50, 'bench', arrayMap(i -> toFloat32(randCanonical(i) - 0.5), range(${FINGERPRINT_DIMENSIONS})), now64(3)
       FROM numbers(${count})`,
    );
  }
}

/** What {@link benchQueries} asks. */
export async function fillHistory(
  store: Store,
  rows: number,
  vectors: number,
  progress?: StoreBenchOptions['progress'],
): Promise<void> {
  progress?.(`making ${rows} flow records to ask`);
  await fillFlows(store, rows);
  progress?.(`making ${vectors} vectors with their index`);
  await fillVectors(store, vectors);
}

/** Medians of repeated queries over what is there, warm, in ms. */
export async function benchQueries(store: Store): Promise<StoreBenchResult['queries']> {
  const wanted = Array.from({ length: FINGERPRINT_DIMENSIONS }, (_, i) => Math.sin(i + 1).toFixed(4));
  return {
    topTalkers1hMs: round(await time(store, 'SELECT * FROM top_talkers LIMIT 20')),
    perMinuteDayMs: round(
      await time(
        store,
        'SELECT time, sum(octetsOut) AS o, sum(octetsIn) AS i FROM usage_1m WHERE time >= now() - INTERVAL 1 DAY GROUP BY time ORDER BY time',
      ),
    ),
    nearest1MMs: round(
      await time(
        store,
        `SELECT referenceId, workloadId FROM reference_fingerprints ORDER BY cosineDistance(fingerprint, CAST([${wanted.join(',')}], 'Array(Float32)')) LIMIT 10`,
      ),
    ),
  };
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
    const [disk] = await store.client.query<{ bytes: number }>(
      "SELECT toFloat64(sum(bytes_on_disk) / sum(rows)) AS bytes FROM system.parts WHERE active AND table = 'flows'",
    );
    // Three tenths of what it takes at best: more would be an overload, not an outage.
    const live = Math.max(1_000, Math.round(insert.rowsPerSecond * LIVE_SHARE));
    progress?.(`${outageSeconds} s without ClickHouse at ${live} records a second`);
    const outage = await benchOutage(join(directory, 'outage'), live, outageSeconds, logger);
    await fillHistory(store, queryRows, vectors, progress);
    const queries = await benchQueries(store);
    return {
      insert,
      queries,
      outage,
      rows: queryRows,
      vectors,
      diskBytesPerRow: Math.round(disk!.bytes),
    };
  } finally {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
