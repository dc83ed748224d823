import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { EmbeddedEngine } from '../../src/store/embedded/engine.js';
import { encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';
import { freePort } from '../support/free-port.js';
import { links, logger, makeBatch } from './support.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-server-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('a server that is away at the start costs nothing: records wait, and the schema follows when it comes', async () => {
  const port = await freePort();
  const engine = new EmbeddedEngine({
    directory: join(directory, 'server'),
    port,
    maxMemoryBytes: 2e9,
    logger,
  });
  // Credentials are made at the first start, so the server has been up once before.
  await engine.start();
  const { writer: password } = engine.credentials;
  await engine.stop();

  const store = new Store({
    config: storeConfig.parse({
      url: `http://127.0.0.1:${await freePort()}`,
      replicas: [`http://127.0.0.1:${port}`],
      user: 'tidegate',
      password,
      database: 'shared',
    }),
    dataDirectory: join(directory, 'gateway'),
    gateway: 'g',
    logger,
  });
  await store.start();
  expect(store.kind).toBe('server');
  expect(store.ready).toBe(false);
  const batch = makeBatch(12);
  const block = encodeFlowBlock(batch, { gateway: 'g', links });
  await store.writer.append({ table: 'flows', block, rows: 12, packets: batch.packets, octets: 0 });
  expect(await store.writer.drain(300)).toBe(false);
  expect(store.writer.counters()).toMatchObject({ reachable: false, storedRecords: 0, spoolFrames: 1 });
  await engine.start();
  try {
    expect(await store.writer.drain(40_000)).toBe(true);
    expect([store.ready, store.problem?.message, store.writer.counters().reachable]).toEqual([
      true,
      undefined,
      true,
    ]);
    const [row] = await store.reader.query<{ n: string }>('SELECT count() AS n FROM flows');
    expect(row).toEqual({ n: '12' });
    // Somebody drops a view's target: the next block waits until the schema is whole again.
    await store.client.command('DROP TABLE usage_1s');
    await store.writer.append({ table: 'flows', block, rows: 12, packets: batch.packets, octets: 0 });
    expect(await store.writer.drain(40_000)).toBe(true);
    const [again] = await store.reader.query<{ n: string; u: string }>(
      'SELECT (SELECT count() FROM flows) AS n, (SELECT sum(flows) FROM usage_1h) AS u',
    );
    expect(again).toEqual({ n: '24', u: '24' });
  } finally {
    await store.stop();
    await engine.stop();
  }
}, 120_000);
