import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { EmbeddedEngine } from '../../src/store/embedded/engine.js';
import { encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';
import { chance, links, logger, makeBatch } from './support.js';

const FIXTURE = new URL('./fixtures/writer-process.mjs', import.meta.url).pathname;
const ROLLUPS = ['usage_1s', 'usage_1m', 'usage_5m', 'usage_1h'] as const;
/** More of both for a longer look: TIDEGATE_KILL_ROUNDS=100 TIDEGATE_KILL_SEED=7. */
const ROUNDS = Number(process.env.TIDEGATE_KILL_ROUNDS ?? 3);
const SERVER_KILLS = Math.ceil(ROUNDS / 2);
const SEED = Number(process.env.TIDEGATE_KILL_SEED ?? 1);
const directory = mkdtempSync(join(tmpdir(), 'tidegate-kill-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const VICTIMS = ['writer', 'engine', 'both'] as const;

/**
 * Runs the writer from frame `first` on and kills it, its engine, or both, at some moment after it began; an engine that is
 * killed alone may come back before its writer dies, too. @returns the last frame that the writer promised
 */
async function runAndKill(
  first: number,
  victim: (typeof VICTIMS)[number],
  random: () => number,
): Promise<number> {
  const child = fork(FIXTURE, [directory, String(first)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let engine = 0;
  let last = first - 1;
  const kill = async (): Promise<void> => {
    await sleep(random() * 1500);
    if (victim !== 'writer') process.kill(engine, 'SIGKILL');
    if (victim === 'engine') await sleep(random() * 3000);
    child.kill('SIGKILL');
  };
  let killed: Promise<void> | undefined;
  for await (const line of createInterface({ input: child.stdout! })) {
    const [word, value] = line.split(' ');
    if (word === 'engine') engine = Number(value);
    if (word !== 'appended') continue;
    last = Number(value);
    killed ??= kill();
  }
  await killed;
  return last;
}

test(`kill -9 of the writing process, of its engine, of both, at ${ROUNDS} random moments (seed ${SEED}): what was promised is stored once`, async () => {
  const random = chance(SEED);
  let next = 0;
  const promised: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const last = await runAndKill(next, VICTIMS[round % VICTIMS.length]!, random);
    for (let frame = next; frame <= last; frame += 1) promised.push(frame);
    // A frame that was written but not promised may be there too: its number must not come again.
    next = last + 2;
  }
  const store = new Store({
    config: storeConfig.parse({}),
    dataDirectory: directory,
    gateway: 'killed',
    logger,
  });
  await store.start();
  try {
    expect(await store.writer.drain(60_000)).toBe(true);
    const found = await store.client.query<{ frame: string; rows: string; distinct: string }>(
      'SELECT intDiv(flowId, 10) AS frame, count() AS rows, uniqExact(flowId) AS distinct FROM flows GROUP BY frame',
    );
    const stored = new Map(found.map((row) => [Number(row.frame), [row.rows, row.distinct]]));
    for (const frame of promised) expect(stored.get(frame), `frame ${frame}`).toEqual(['10', '10']);
    for (const [frame, counts] of stored) expect(counts, `frame ${frame}`).toEqual(['10', '10']);
    const sums = { flows: String(stored.size * 10), packets: String(stored.size * 10) };
    for (const table of ROLLUPS) {
      const [sum] = await store.client.query<{ flows: string; packets: string }>(
        `SELECT sum(flows) AS flows, sum(packetsOut + packetsIn) AS packets FROM ${table}`,
      );
      expect(sum, table).toEqual(sums);
    }
  } finally {
    await store.stop();
  }
}, 3_600_000);

test(`kill -9 of a server in the middle of INSERTs, ${SERVER_KILLS} times: every record is stored once`, async () => {
  const ROWS = 5_000;
  const random = chance(SEED + 1);
  const engine = new EmbeddedEngine({
    directory: join(directory, 'server'),
    port: 0,
    maxMemoryBytes: 2 ** 31,
    logger,
  });
  await engine.start();
  const store = new Store({
    config: storeConfig.parse({ url: engine.url, user: 'tidegate', password: engine.credentials.writer }),
    dataDirectory: join(directory, 'gateway'),
    gateway: 'g',
    logger,
  });
  await store.start();
  let appended = 0;
  let killing = true;
  const append = async (): Promise<void> => {
    while (killing) {
      const batch = makeBatch(ROWS, appended);
      batch.column('octetDeltaCount', 'u64').fill(1n);
      const ids = batch.column('flowId', 'u64');
      for (let row = 0; row < ROWS; row += 1) ids[row] = BigInt(appended + row);
      const block = encodeFlowBlock(batch, { gateway: 'g', links });
      await store.writer.append({ table: 'flows', block, rows: ROWS, packets: batch.packets, octets: 0 });
      appended += ROWS;
      await sleep(50);
    }
  };
  try {
    const appending = append();
    for (let round = 0; round < SERVER_KILLS; round += 1) {
      await sleep(1000 + random() * 1500);
      const { pid } = engine;
      process.kill(pid!, 'SIGKILL');
      while (engine.pid === pid || !(await store.client.ping())) await sleep(100);
    }
    killing = false;
    await appending;
    expect(engine.restarts).toBe(SERVER_KILLS);
    expect(await store.writer.drain(120_000)).toBe(true);
    const [row] = await store.client.query<Record<string, string>>(
      `SELECT count() AS rows, uniqExact(flowId) AS distinct, sum(packetsOut + packetsIn) AS packets,
         ${ROLLUPS.map((table) => `(SELECT sum(flows) FROM ${table}) AS flows_${table}, (SELECT sum(packetsOut + packetsIn) FROM ${table}) AS packets_${table}`).join(', ')}
       FROM flows`,
    );
    const { storedPackets } = store.writer.counters();
    for (const [name, value] of Object.entries(row!))
      expect(value, name).toBe(String(name.startsWith('packets') ? storedPackets : appended));
  } finally {
    killing = false;
    await store.stop();
    await engine.stop();
  }
}, 3_600_000);
