import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../base/logger.js';
import { storeConfig } from '../config.js';
import { EmbeddedEngine } from '../embedded/engine.js';
import { encodeFlowBlock } from '../native-block.js';
import { Store } from '../store.js';
import { syntheticBatch } from './synthetic-batch.js';

export interface OutageFigures {
  /** Records a second that came all the time, before, during and after the outage. */
  readonly liveRowsPerSecond: number;
  readonly outageSeconds: number;
  /** Records that waited when ClickHouse came back. */
  readonly backlogRows: number;
  /** Octets a waiting record took in the spool, after compression. */
  readonly backlogBytesPerRow: number;
  readonly catchUpSeconds: number;
  /** Records of the backlog stored a second, beside those that kept coming, by the rate of those. */
  readonly catchUpByLiveRate: number;
  /** Oldest that the newest stored record was, at any look while the backlog was sent. */
  readonly newestAgeMaxSeconds: number;
  /** Records appended less records in `flows`, and less those that every rollup counts: 0 or something is wrong. */
  readonly missing: { readonly flows: number; readonly usage1h: number };
}

const BATCH_ROWS = 10_000;
const LOOK_EVERY_MS = 500;

/**
 * An outage in small: records come at one rate all the time, over HTTP to an engine that goes away and comes back. The
 * rates are those of the full size; only the time is shorter.
 */
export async function benchOutage(
  directory: string,
  liveRowsPerSecond: number,
  outageSeconds: number,
  logger: Logger,
): Promise<OutageFigures> {
  const engine = new EmbeddedEngine({
    directory: join(directory, 'server'),
    port: 0,
    maxMemoryBytes: 4 * 2 ** 30,
    logger,
  });
  await engine.start();
  const store = new Store({
    config: storeConfig.parse({ url: engine.url, user: 'tidegate', password: engine.credentials.writer }),
    dataDirectory: join(directory, 'gateway'),
    gateway: 'outage',
    logger,
  });
  let appended = 0;
  let coming = true;
  const come = async (): Promise<void> => {
    const begin = performance.now();
    for (let batch = 0; coming; batch += 1) {
      const due = begin + (batch * BATCH_ROWS * 1000) / liveRowsPerSecond;
      await sleep(Math.max(0, due - performance.now()));
      const rows = syntheticBatch(BATCH_ROWS, batch, Date.now());
      const block = encodeFlowBlock(rows, { gateway: 'outage', links: {} });
      await store.writer.append({ table: 'flows', block, rows: BATCH_ROWS, packets: BATCH_ROWS, octets: 0 });
      appended += BATCH_ROWS;
    }
  };
  const count = async (sql: string): Promise<number> =>
    Number((await store.client.query<{ n: string }>(sql, { timeoutMs: 60_000 }))[0]!.n);
  try {
    await store.start();
    const arrival = come();
    await sleep(3_000);
    await engine.stop();
    await sleep(outageSeconds * 1000);
    const { spoolBytes } = store.writer.counters();
    const backlogRows = appended - store.writer.counters().storedRecords;
    await engine.start();
    const back = performance.now();
    let newestAgeMaxSeconds = 0;
    // The backlog is gone when what waits is what a sender gathers anyway.
    while (appended - store.writer.counters().storedRecords > 2 * liveRowsPerSecond + 2 * BATCH_ROWS) {
      await sleep(LOOK_EVERY_MS);
      if (store.writer.counters().storedRecords === 0) continue;
      const age = await count(
        "SELECT toInt64(dateDiff('second', max(flowEndNanoseconds), now64(9))) AS n FROM flows",
      );
      // Until the first INSERT after the outage, the newest record is as old as the outage.
      if (performance.now() - back > 5_000) newestAgeMaxSeconds = Math.max(newestAgeMaxSeconds, age);
    }
    const catchUpSeconds = (performance.now() - back) / 1000;
    coming = false;
    await arrival;
    await store.writer.drain(120_000);
    const rounded = (value: number): number => Math.round(value * 10) / 10;
    return {
      liveRowsPerSecond,
      outageSeconds,
      backlogRows,
      backlogBytesPerRow: Math.round(spoolBytes / backlogRows),
      catchUpSeconds: rounded(catchUpSeconds),
      catchUpByLiveRate: rounded(backlogRows / catchUpSeconds / liveRowsPerSecond),
      newestAgeMaxSeconds,
      missing: {
        flows: appended - (await count('SELECT count() AS n FROM flows')),
        usage1h: appended - (await count('SELECT sum(flows) AS n FROM usage_1h')),
      },
    };
  } finally {
    coming = false;
    await store.stop();
    await engine.stop();
  }
}
