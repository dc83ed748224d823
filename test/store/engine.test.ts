import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { EmbeddedEngine } from '../../src/store/embedded/engine.js';
import { logger } from './support.js';

const MEMORY = 800e6;

/** What clients of a server rely on, asked of the embedded engine over HTTP. */
describe('the embedded engine as a server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-engine-'));
  const engine = new EmbeddedEngine({ directory, port: 0, maxMemoryBytes: MEMORY, logger });
  let clients: ReturnType<typeof createClient>[] = [];
  const open = (options: Readonly<Record<string, unknown>> = {}): ReturnType<typeof createClient> => {
    const client = createClient({
      url: engine.url,
      username: 'tidegate',
      password: engine.credentials.writer,
      log: { level: ClickHouseLogLevel.OFF },
      ...options,
    });
    clients.push(client);
    return client;
  };
  const ask = async (query: string, parameters: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${engine.url}/?${new URLSearchParams({ query, ...parameters })}`, {
      method: 'POST',
      headers: { 'X-ClickHouse-User': 'tidegate', 'X-ClickHouse-Key': engine.credentials.writer },
    });
  beforeAll(async () => {
    vi.stubEnv('TZ', 'America/New_York');
    await engine.start();
    vi.unstubAllEnvs();
  });
  afterAll(async () => {
    for (const client of clients) await client.close();
    clients = [];
    await engine.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('it stands in UTC, wherever the gateway does', async () => {
    expect(await (await ask('SELECT timezone(), toDateTime(0)')).text()).toBe('UTC\t1970-01-01 00:00:00\n');
  });

  test('a session keeps its temporary tables and settings, and nothing that a request set for itself', async () => {
    const one = open({ session_id: 'one' });
    await one.command({ query: 'CREATE TEMPORARY TABLE mine (n UInt64)' });
    await one.command({ query: 'INSERT INTO mine VALUES (1), (2)' });
    await one.command({ query: 'SET max_result_rows = 77' });
    const select = async (query: string): Promise<unknown[]> =>
      (await one.query({ query, format: 'JSONEachRow' })).json();
    expect(await select('SELECT toUInt8(sum(n)) AS n FROM mine')).toEqual([{ n: 3 }]);
    expect(await select("SELECT getSetting('max_result_rows')::UInt32 AS n")).toEqual([{ n: 77 }]);
    const set = await ask("SELECT getSetting('max_block_size')", {
      session_id: 'one',
      max_block_size: '123',
    });
    expect(await set.text()).toBe('123\n');
    expect(await (await ask("SELECT getSetting('max_block_size')", { session_id: 'one' })).text()).not.toBe(
      '123\n',
    );
    await expect(open({ session_id: 'two' }).query({ query: 'SELECT * FROM mine' })).rejects.toMatchObject({
      code: '60',
    });
  });

  test('a session that is not there, is in use, or is to last too long is refused with the code of a server', async () => {
    const missing = await ask('SELECT 1', { session_id: 'nobody', session_check: '1' });
    expect([missing.status, missing.headers.get('x-clickhouse-exception-code')]).toEqual([500, '372']);
    const [first, second] = await Promise.all([
      ask('SELECT sleep(1)', { session_id: 'busy' }),
      ask('SELECT sleep(1)', { session_id: 'busy' }),
    ]);
    const codes = [first, second].map((response) => response.headers.get('x-clickhouse-exception-code'));
    expect(codes.sort()).toEqual(['373', null]);
    const long = await ask('SELECT 1', { session_id: 'long', session_timeout: '9999' });
    expect(long.headers.get('x-clickhouse-exception-code')).toBe('374');
    await ask('CREATE TEMPORARY TABLE brief (n UInt64)', { session_id: 'brief', session_timeout: '0' });
    await expect
      .poll(
        async () =>
          (await ask('SELECT 1', { session_id: 'brief', session_check: '1', session_timeout: '0' })).status,
      )
      .toBe(500);
  });

  test.each([false, true])(
    'an error after the first rows reaches the client as one of ClickHouse (gzip %s)',
    async (response) => {
      const client = open({ compression: { response, request: false } });
      const result = await client.query({
        query: 'SELECT number, throwIf(number = 400000, $$boom it went$$) AS t FROM numbers(1000000)',
        format: 'JSONEachRow',
        clickhouse_settings: { max_block_size: '1000', max_threads: 1 },
      });
      let rows = 0;
      const read = async (): Promise<void> => {
        for await (const some of result.stream()) rows += some.length;
      };
      await expect(read()).rejects.toMatchObject({ code: '395', message: expect.stringContaining('boom') });
      expect(rows).toBeGreaterThan(0);
    },
  );

  test.each([
    ['SELECT 1 FROM nowhere', {}, 404, '60'],
    ['SELECT nothing', {}, 404, '47'],
    ['SELEC 1', {}, 400, '62'],
    ['SELECT 1 FROM', {}, 400, '62'],
    ['SELECT 1', { no_such_setting: '1' }, 404, '115'],
    ['SELECT sleepEachRow(1) FROM numbers(9)', { max_execution_time: '1', max_block_size: '1' }, 408, '159'],
    ['SELECT groupArray(number) FROM numbers(100000000)', { max_memory_usage: '10000000' }, 500, '241'],
    ['SELECT toUInt8(*) FROM values($$s String$$, $$x$$)', {}, 400, '6'],
  ] as const)('%s is refused with the status and code of a server', async (query, settings, status, code) => {
    const response = await ask(query, settings as Readonly<Record<string, string>>);
    expect([response.status, response.headers.get('x-clickhouse-exception-code')]).toEqual([status, code]);
    expect(await response.text()).toMatch(
      new RegExp(`^Code: ${code}\\. DB::Exception: .* \\([A-Z0-9_]+\\)`, 's'),
    );
  });

  test('a query that wants more than the process may have is refused, and the process lives within its cap', async () => {
    const pid = engine.pid;
    const big = await ask('SELECT count() FROM (SELECT groupArray(number) FROM numbers(400000000))', {
      max_memory_usage: '0',
      max_execution_time: '60',
    });
    expect(big.headers.get('x-clickhouse-exception-code')).toBe('241');
    expect(engine.pid).toBe(pid);
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
    // The library itself is some 300 MB, of which the cap counts only what is its data.
    expect(peak).toBeLessThan(MEMORY + 600e6);
    expect(await (await ask('SELECT 1')).text()).toBe('1\n');
  });
});
