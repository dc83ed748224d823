import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EmbeddedEngine } from '../../src/store/embedded/engine.js';
import { Store, storeConfig } from '../../src/store/index.js';
import { MIGRATIONS } from '../../src/store/schema/index.js';
import { logger } from './support.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-refusals-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const mayMount = ((): boolean => {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('a store that cannot be used is told with its remedy, and measuring goes on', () => {
  const engine = new EmbeddedEngine({
    directory: join(directory, 'server'),
    port: 0,
    maxMemoryBytes: 2e9,
    logger,
  });
  beforeAll(() => engine.start());
  afterAll(() => engine.stop());
  let number = 0;
  let store: Store | undefined;
  afterEach(async () => store?.stop());
  const problemOf = async (settings: Readonly<Record<string, string>>): Promise<unknown> => {
    number += 1;
    store = new Store({
      config: storeConfig.parse(settings),
      dataDirectory: join(directory, String(number)),
      gateway: 'g',
      logger,
    });
    await store.start();
    await store.writer.append({ table: 'flows', block: new Uint8Array(9), rows: 1, packets: 1, octets: 1 });
    expect(await store.writer.drain(200)).toBe(false);
    // Nothing is dropped that may be kept.
    expect(store.writer.counters()).toMatchObject({ spoolFrames: 1, lost: [] });
    return store.problem;
  };

  test('a wrong password', async () => {
    const problem = await problemOf({ url: engine.url, user: 'tidegate', password: 'wrong' });
    expect(problem).toMatchObject({
      code: 'TG_STORE_PASSWORD',
      hint: expect.stringContaining('store.password'),
    });
  });

  test('a missing right', async () => {
    const { reader: password } = engine.credentials;
    const problem = await problemOf({ url: engine.url, user: 'reader', password });
    expect(problem).toMatchObject({ code: 'TG_STORE_RIGHTS', hint: expect.stringContaining('GRANT') });
  });

  test('a port where nobody listens, and one where somebody else does', async () => {
    expect(await problemOf({ url: 'http://127.0.0.1:9' })).toMatchObject({
      code: 'TG_STORE_UNREACHABLE',
      hint: expect.stringContaining('store.url'),
    });
    await store?.stop();
    const other = createServer((_request, response) => {
      response.statusCode = 404;
      response.end('<html>no such page</html>');
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = other.address() as AddressInfo;
      expect(await problemOf({ url: `http://127.0.0.1:${port}` })).toMatchObject({
        code: 'TG_STORE_UNREACHABLE',
        hint: expect.stringContaining('store.url'),
      });
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });
});

test.skipIf(!mayMount)(
  'a full disk: what does not fit waits at its source, and is stored when there is room (needs a mount namespace)',
  async () => {
    const disk = mkdtempSync(join(directory, 'disk-'));
    const fixture = new URL('./fixtures/full-disk.mjs', import.meta.url).pathname;
    const script = `mount -t tmpfs -o size=2500k tmpfs '${disk}' && exec '${process.execPath}' '${fixture}' '${disk}'`;
    const { stdout } = await promisify(execFile)('unshare', ['--mount', 'sh', '-c', script]);
    expect(JSON.parse(stdout)).toMatchObject({
      refused: 0,
      drained: true,
      stored: 10,
      counters: { storedPackets: 10, spoolBytes: 0, lost: [] },
      codes: ['TG_STORE_SPOOL_WRITE'],
      hint: expect.stringContaining('space'),
    });
  },
  60_000,
);

test('no table has more than 50 partitions, however long it lives', () => {
  const DAYS: Readonly<Record<string, number>> = { toDate: 1, toYYYYMMDD: 1, toYYYYMM: 28, toYear: 365 };
  for (const statement of MIGRATIONS.flatMap((migration) => migration.statements)) {
    if (statement.kind !== 'table') continue;
    const step = /PARTITION BY (\w+)\(/.exec(statement.layout)?.[1];
    if (step === undefined) continue;
    const [, count, unit] = /INTERVAL (\d+) (DAY|HOUR)/.exec(statement.layout) ?? [];
    // What never expires is divided by years.
    const days = count === undefined ? 48 * 365 : Number(count) / (unit === 'DAY' ? 1 : 24);
    expect(Math.ceil(days / DAYS[step]!) + 1, statement.name).toBeLessThanOrEqual(50);
  }
});
