import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { Store, storeConfig } from '../../src/store/index.js';
import { logger } from './support.js';

const FIXTURE = new URL('./fixtures/writer-process.mjs', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'tidegate-kill-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the writer until `frames` frames are appended, kills it, and tells the last frame that it promised. */
async function runAndKill(first: number, frames: number, engineToo: boolean): Promise<number> {
  const child = fork(FIXTURE, [directory, String(first)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let engine = 0;
  let last = first - 1;
  for await (const line of createInterface({ input: child.stdout! })) {
    const [word, value] = line.split(' ');
    if (word === 'engine') engine = Number(value);
    if (word === 'appended') last = Number(value);
    if (word === 'appended' && last === first + frames - 1) {
      // Anywhere in what it does next.
      setTimeout(() => {
        if (engineToo) process.kill(engine, 'SIGKILL');
        child.kill('SIGKILL');
      }, Math.random() * 300);
    }
  }
  return last;
}

test('kill -9 of the writing process, alone or with its engine: what was promised is stored once', async () => {
  let next = 0;
  const promised: number[] = [];
  for (const [frames, engineToo] of [
    [3, false],
    [40, true],
    [90, false],
  ] as const) {
    const last = await runAndKill(next, frames, engineToo);
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
    expect(await store.writer.drain(30_000)).toBe(true);
    const found = await store.client.query<{ frame: string; rows: string; distinct: string }>(
      'SELECT intDiv(flowId, 10) AS frame, count() AS rows, uniqExact(flowId) AS distinct FROM flows GROUP BY frame',
    );
    const stored = new Map(found.map((row) => [Number(row.frame), [row.rows, row.distinct]]));
    for (const frame of promised) expect(stored.get(frame), `frame ${frame}`).toEqual(['10', '10']);
    for (const [frame, counts] of stored) expect(counts, `frame ${frame}`).toEqual(['10', '10']);
    for (const table of ['usage_1s', 'usage_1m', 'usage_5m', 'usage_1h']) {
      const [sum] = await store.client.query<{ flows: string; packets: string }>(
        `SELECT sum(flows) AS flows, sum(packetsOut + packetsIn) AS packets FROM ${table}`,
      );
      expect(sum, table).toEqual({ flows: String(stored.size * 10), packets: String(stored.size * 10) });
    }
  } finally {
    await store.stop();
  }
}, 180_000);
