import { setTimeout as sleep } from 'node:timers/promises';
import { middleOf } from '../../base/statistics.js';
import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import type { Store } from '../store.js';

export interface QueryFigures {
  readonly topTalkers1hMs: number;
  readonly perMinuteDayMs: number;
  readonly nearest1MMs: number;
}

/** What the index of the vectors costs, and what it misses. */
export interface NearestFigures {
  /** Making the index of all vectors at once. */
  readonly indexSeconds: number;
  /** Of the ten that are nearest by comparing with every vector, the share that the index gives. */
  readonly recallAt10: number;
  /** Comparing with every vector. */
  readonly exactMs: number;
}

const REPEATS = 7;
const NEAREST = 10;
const ROWS_AN_INSERT = 1_000_000;
const VECTORS_AN_INSERT = 250_000;
const TIMEOUT_MS = 120_000;
const LOOK_EVERY_MS = 500;
const SETTLE_MS = 120_000;
/** Looks in a row without a merge under way. */
const QUIET_LOOKS = 3;

const round = (value: number): number => Math.round(value * 10) / 10;

/** Milliseconds of queries, the middle one of several after one that warms up. */
async function time(ask: (repeat: number) => Promise<unknown>): Promise<number> {
  await ask(0);
  const times: number[] = [];
  for (let i = 1; i <= REPEATS; i += 1) {
    const begin = performance.now();
    await ask(i);
    times.push(performance.now() - begin);
  }
  return middleOf(times);
}

/**
 * A day of slim flow records, made inside the engine: the queries read few columns. Nearly every record is between
 * another pair of hosts, which is the hardest case for top talkers.
 */
export async function fillFlows(store: Store, rows: number): Promise<void> {
  for (let from = 0; from < rows; from += ROWS_AN_INSERT) {
    const count = Math.min(ROWS_AN_INSERT, rows - from);
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

/**
 * Vectors without any structure, the hardest for an index of neighbours, which is made once, when all are there.
 *
 * @returns seconds that the index took
 */
export async function fillVectors(store: Store, vectors: number): Promise<number> {
  const { client } = store;
  await client.command(
    'ALTER TABLE reference_fingerprints MODIFY SETTING materialize_skip_indexes_on_merge = 0',
  );
  for (let from = 0; from < vectors; from += VECTORS_AN_INSERT) {
    const count = Math.min(VECTORS_AN_INSERT, vectors - from);
    await client.command(
      `INSERT INTO reference_fingerprints (gateway, referenceId, workloadId, modelId, fingerprint, updated)
       SELECT 'bench', ${from} + number, number % 50, 'bench',
         arrayMap(i -> toFloat32(sipHash64(${from} + number, i) / 18446744073709551616. - 0.5), range(${FINGERPRINT_DIMENSIONS})), now64(3)
       FROM numbers(${count}) SETTINGS materialize_skip_indexes_on_insert = 0`,
    );
  }
  await client.command('OPTIMIZE TABLE reference_fingerprints FINAL');
  await client.command(
    'ALTER TABLE reference_fingerprints MODIFY SETTING materialize_skip_indexes_on_merge = 1',
  );
  const begin = performance.now();
  // In the background: the index of a million vectors takes longer than a request may.
  await client.command(
    'ALTER TABLE reference_fingerprints MATERIALIZE INDEX nearest SETTINGS mutations_sync = 0',
  );
  for (;;) {
    const [left] = await client.query<{ mutations: number; reason: string }>(
      `SELECT toUInt32(count()) AS mutations, any(latest_fail_reason) AS reason FROM system.mutations
       WHERE database = currentDatabase() AND table = 'reference_fingerprints' AND NOT is_done`,
    );
    if (left === undefined || left.mutations === 0) return (performance.now() - begin) / 1000;
    if (left.reason !== '') throw new Error(`the index of the vectors is not made: ${left.reason}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Waits until the merges that so much at once has brought about are done: a gateway's own are spread over the day. */
export async function settle(store: Store): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  for (let quiet = 0; quiet < QUIET_LOOKS && performance.now() < deadline; ) {
    await sleep(LOOK_EVERY_MS);
    const [row] = await store.client.query<{ merges: number }>(
      'SELECT toUInt32(count()) AS merges FROM system.merges WHERE database = currentDatabase()',
    );
    quiet = row?.merges === 0 ? quiet + 1 : 0;
  }
}

/** A vector to ask with; another one for each number. */
const wanted = (number: number): string =>
  Array.from({ length: FINGERPRINT_DIMENSIONS }, (_, i) => Math.sin((i + 1) * (number + 1)).toFixed(4)).join(
    ',',
  );

const nearestTo = (number: number): string =>
  `SELECT referenceId, workloadId FROM reference_fingerprints ORDER BY cosineDistance(fingerprint, CAST([${wanted(number)}], 'Array(Float32)')) LIMIT ${NEAREST}`;

/** Medians of repeated queries over what is there, warm, in ms, as the read-only user asks them. */
export async function benchQueries(store: Store): Promise<QueryFigures> {
  const ask = (sql: string): Promise<unknown> => store.reader.query(sql, { timeoutMs: TIMEOUT_MS });
  return {
    topTalkers1hMs: round(await time(() => ask('SELECT * FROM top_talkers LIMIT 20'))),
    perMinuteDayMs: round(
      await time(() =>
        ask(
          'SELECT time, sum(octetsOut) AS o, sum(octetsIn) AS i FROM usage_1m WHERE time >= now() - INTERVAL 1 DAY GROUP BY time ORDER BY time',
        ),
      ),
    ),
    nearest1MMs: round(await time((i) => ask(nearestTo(i)))),
  };
}

/** What the index of the vectors gives beside comparing with each of them. */
export async function benchNearest(store: Store): Promise<Omit<NearestFigures, 'indexSeconds'>> {
  const ask = async (sql: string): Promise<string[]> =>
    (await store.client.query<{ referenceId: string }>(sql, { timeoutMs: TIMEOUT_MS })).map(
      ({ referenceId }) => referenceId,
    );
  let found = 0;
  const exactMs = await time(async (i) => {
    const exact = new Set(await ask(`${nearestTo(i)} SETTINGS use_skip_indexes = 0`));
    found += (await ask(nearestTo(i))).filter((id) => exact.has(id)).length;
  });
  return {
    exactMs: round(exactMs),
    recallAt10: Math.round((found / ((REPEATS + 1) * NEAREST)) * 1000) / 1000,
  };
}
