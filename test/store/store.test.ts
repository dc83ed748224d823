import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FlowBatch } from '../../src/flow/batch.js';
import { FLOW_COLUMNS } from '../../src/flow/columns.js';
import { BLOCK_COLUMNS, encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';
import { NativeBlock } from '../../src/store/native-reader.js';
import { links, logger, makeBatch } from './support.js';

/** The client's own log would say every expected refusal again. */
const SILENT = { level: ClickHouseLogLevel.OFF };

describe('the embedded store', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-store-'));
  let store: Store;
  const open = async (): Promise<void> => {
    store = new Store({ config: storeConfig.parse({}), dataDirectory: directory, gateway: 'test', logger });
    await store.start();
  };
  const append = async (batch: FlowBatch): Promise<void> => {
    const block = encodeFlowBlock(batch, { gateway: 'test', links });
    await store.writer.append({ table: 'flows', block, rows: batch.rows, packets: batch.packets, octets: 0 });
  };
  const count = async (sql: string): Promise<number> =>
    Number((await store.client.query<{ n: string }>(sql))[0]!.n);

  beforeAll(open);
  afterAll(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('every column of a block comes back as it was', async () => {
    const batch = makeBatch(7);
    await append(batch);
    expect(await store.writer.drain(20_000)).toBe(true);
    const rows = await store.client.query<Record<string, unknown>>(
      'SELECT * FROM flows ORDER BY flowEndNanoseconds',
    );
    expect(rows).toHaveLength(7);
    for (const { name, type, width } of FLOW_COLUMNS) {
      if (/Nanoseconds|Address|Head$/.test(name)) continue;
      const view = batch.column(name, type);
      for (let row = 0; row < 7; row += 1) {
        const got = rows[row]![name];
        const expected = Array.from(view.subarray(row * width, (row + 1) * width) as Uint32Array, String);
        expect(Array.isArray(got) ? got.map(String) : [String(got)], name).toEqual(expected);
      }
    }
    expect(rows.map((row) => row.tlsServerName)).toEqual(
      rows.map((_, i) => (i % 3 === 0 ? `host${i}.example.org` : '')),
    );
    expect(rows.map((row) => Number(row.quicVersion))).toEqual([0, 0, 0, 0xffffffff, 0, 0, 6]);
    expect(rows.map((row) => row.headerFields)).toEqual(
      rows.map((_, i) => (i === 3 ? { opcode: '0a', tenant: '00ff'.repeat(3) } : {})),
    );
    expect(rows[0]!.octetDeltaCount).toBe('18446744073709551615');
    expect(rows.map((row) => row.linkId)).toEqual(Array(7).fill('public-a'));
    expect(rows.map((row) => Number(row.outbound))).toEqual([1, 0, 1, 0, 1, 0, 1]);
    expect(store.writer.counters()).toMatchObject({
      storedPackets: batch.packets,
      storedRecords: 7,
      spoolBytes: 0,
      lost: [],
    });
  });

  test('the rollups add up to the flows, in every resolution', async () => {
    const sums = 'sum(octetsOut) AS o, sum(packetsIn) AS p';
    const base = await store.client.query(`SELECT ${sums}, count() AS f FROM flows`);
    for (const table of ['usage_1s', 'usage_1m', 'usage_5m', 'usage_1h']) {
      expect(await store.client.query(`SELECT ${sums}, sum(flows) AS f FROM ${table}`), table).toEqual(base);
    }
  });

  test('a block that is sent twice with its token is stored once, in the table and in every rollup', async () => {
    const block = encodeFlowBlock(makeBatch(5, 9), { gateway: 'twice', links });
    for (let i = 0; i < 3; i += 1) await store.client.insertBlock('flows', BLOCK_COLUMNS, block, 'twice:1');
    expect(await count("SELECT count() AS n FROM flows WHERE gateway = 'twice'")).toBe(5);
    for (const table of ['usage_1s', 'usage_1m', 'usage_5m', 'usage_1h']) {
      expect(await count(`SELECT sum(flows) AS n FROM ${table} WHERE gateway = 'twice'`), table).toBe(5);
    }
  });

  test('kill -9 of the engine at any moment loses and doubles nothing', async () => {
    const before = await count('SELECT count() AS n FROM flows');
    let appended = 0;
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 6; i += 1) {
        await append(makeBatch(50, 100 + appended));
        appended += 50;
        if (i === 2) process.kill(enginePid(store), 'SIGKILL');
      }
      expect(await store.writer.drain(40_000)).toBe(true);
    }
    expect(await count('SELECT count() AS n FROM flows')).toBe(before + appended);
    expect(await count('SELECT sum(flows) AS n FROM usage_1h')).toBe(before + appended);
    expect(store.writer.counters().lost).toEqual([]);
  }, 120_000);

  test('the reader can query but not change anything, and a wrong password is refused as a server does', async () => {
    const { url, user, password, database } = store.endpoint();
    const reader = createClient({ url, username: user, password, database, log: SILENT });
    const rows = await (
      await reader.query({ query: 'SELECT count() AS n FROM flows', format: 'JSONEachRow' })
    ).json<{ n: unknown }>();
    expect(Number(rows[0]!.n)).toBeGreaterThan(0);
    await expect(reader.command({ query: 'DROP TABLE flows' })).rejects.toMatchObject({
      code: expect.any(String),
    });
    await expect(
      reader.insert({ table: 'events', values: [{ words: 'x' }], format: 'JSONEachRow' }),
    ).rejects.toThrow();
    for (const query of [
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT file('/etc/passwd')",
      "SELECT `file`  ('/etc/passwd')",
      "SELECT 1 /* ' */ , file('/etc/passwd') --'",
      `SELECT 1 INTO OUTFILE '${join(directory, 'out')}'`,
      "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
      'SELECT 1 SETTINGS readonly = 0',
      'KILL QUERY WHERE 1',
      'SYSTEM FLUSH LOGS',
      'CREATE TEMPORARY TABLE t (x UInt8)',
    ]) {
      await expect(reader.query({ query }), query).rejects.toMatchObject({
        code: expect.stringMatching(/^(164|497)$/),
      });
    }
    const words = await reader.query({ query: "SELECT 'file(x) INTO OUTFILE' AS s", format: 'JSONEachRow' });
    expect(await words.json()).toEqual([{ s: 'file(x) INTO OUTFILE' }]);
    await reader.close();
    const stranger = createClient({ url, username: user, password: 'wrong', log: SILENT });
    await expect(stranger.query({ query: 'SELECT 1' })).rejects.toMatchObject({ code: '516' });
    await stranger.close();
  });

  test('parameters, settings and errors reach the client as from a server', async () => {
    const { url, user, password, database } = store.endpoint();
    const client = createClient({
      url,
      username: user,
      password,
      database,
      compression: { response: true },
      log: SILENT,
    });
    const text = "it's\n\ttab \\ and 'quotes'";
    const result = await client.query({
      query: 'SELECT {text:String} AS text, {n:UInt64} AS n',
      query_params: { text, n: '18446744073709551615' },
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
    });
    expect(await result.json()).toEqual([{ text, n: '18446744073709551615' }]);
    await expect(client.query({ query: 'SELECT * FROM missing' })).rejects.toMatchObject({
      code: '60',
      type: 'UNKNOWN_TABLE',
    });
    // What is no statement at all is not one that a reader may not use.
    await expect(client.query({ query: 'SELEC 1' })).rejects.toMatchObject({
      code: '62',
      type: 'SYNTAX_ERROR',
    });
    await expect(
      client.query({
        query: 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 0',
        clickhouse_settings: { max_execution_time: 1 },
      }),
    ).rejects.toMatchObject({ code: '159' });
    const many = await client.query({ query: 'SELECT number FROM numbers(200000)', format: 'JSONEachRow' });
    expect((await many.json<unknown>()).length).toBe(200_000);
    await client.close();
  });

  test('a query whose client hangs up ends in the engine', async () => {
    const running = async (): Promise<number> =>
      count(
        "SELECT count() AS n FROM system.processes WHERE query LIKE '%sipHash128(number)%' AND query NOT LIKE '%system.processes%'",
      );
    const abort = new AbortController();
    const query = store.reader.query(
      "SELECT count() FROM numbers(100000000000) WHERE sipHash128(number) = unhex('00')",
      { signal: abort.signal },
    );
    const refused = expect(query).rejects.toMatchObject({ code: expect.stringMatching(/^TG_STORE_/) });
    await vi.waitFor(async () => expect(await running()).toBe(1), 20_000);
    abort.abort();
    await refused;
    await vi.waitFor(async () => expect(await running()).toBe(0), 20_000);
  });

  test('rows that are refused are set aside alone, counted, and the rest of their block is stored', async () => {
    await store.client.command(
      "ALTER TABLE flows ADD CONSTRAINT unlucky CHECK NOT (gateway = 'unlucky' AND workloadScore = 13)",
    );
    const batch = makeBatch(40);
    batch.column('workloadScore', 'f32').fill(1);
    for (const row of [7, 8, 31]) batch.column('workloadScore', 'f32')[row] = 13;
    const packets = batch.column('packetDeltaCount', 'u64');
    const reverse = batch.column('reversePacketDeltaCount', 'u64');
    const refused = [7, 8, 31].reduce((sum, row) => sum + Number(packets[row]! + reverse[row]!), 0);
    const before = store.writer.counters();
    const block = encodeFlowBlock(batch, { gateway: 'unlucky', links });
    await store.writer.append({ table: 'flows', block, rows: 40, packets: batch.packets, octets: 0 });
    expect(await store.writer.drain(20_000)).toBe(true);
    await store.client.command('ALTER TABLE flows DROP CONSTRAINT unlucky');
    expect(await count("SELECT count() AS n FROM flows WHERE gateway = 'unlucky'")).toBe(37);
    expect(await count("SELECT sum(flows) AS n FROM usage_1h WHERE gateway = 'unlucky'")).toBe(37);
    const after = store.writer.counters();
    expect(after.storedRecords - before.storedRecords).toBe(37);
    expect(after.storedPackets - before.storedPackets).toBe(batch.packets - refused);
    expect(after.lost).toEqual([
      { stage: 'store', reason: 'refused', packets: refused, octets: expect.any(Number) },
    ]);
    const aside = readdirSync(join(directory, 'spool', 'quarantine'));
    const rows = aside
      .filter((name) => name.endsWith('.native'))
      .map((name) => new NativeBlock(readFileSync(join(directory, 'spool', 'quarantine', name))).rows);
    expect(rows).toEqual([1, 1, 1]);
    expect(
      readFileSync(
        join(directory, 'spool', 'quarantine', aside.find((name) => name.endsWith('.reason'))!),
        'utf8',
      ),
    ).toMatch(/unlucky/);
  });

  test('rows whose clock cannot be right are stored at now, and say by how much they were moved', async () => {
    const batch = makeBatch(300);
    const end = batch.column('flowEndNanoseconds', 'u64');
    const start = batch.column('flowStartNanoseconds', 'u64');
    for (let row = 0; row < 300; row += 1) {
      end[row] = row < 200 ? BigInt(row + 1) * 86_400_000_000_000n : 2n ** 64n - 1n - BigInt(row);
      start[row] = end[row]! - 7n;
    }
    const block = encodeFlowBlock(batch, { gateway: 'clockless', links });
    await store.writer.append({ table: 'flows', block, rows: 300, packets: batch.packets, octets: 0 });
    expect(await store.writer.drain(20_000)).toBe(true);
    const rows = await store.client.query<{ ns: string; ended: string }>(
      `SELECT toUnixTimestamp64Nano(flowEndNanoseconds) - toUnixTimestamp64Nano(flowStartNanoseconds) AS ns,
         reinterpretAsUInt64(toUnixTimestamp64Nano(flowEndNanoseconds) - clockCorrectionNanoseconds) AS ended
       FROM flows WHERE gateway = 'clockless' AND abs(dateDiff('minute', flowEndNanoseconds, now64(9))) < 10`,
    );
    expect(rows.map((row) => row.ended).sort()).toEqual(Array.from(end, String).sort());
    expect(new Set(rows.map((row) => row.ns))).toEqual(new Set(['7']));
  });

  test('a second gateway on the same directory is told who holds it', async () => {
    const second = new Store({
      config: storeConfig.parse({}),
      dataDirectory: directory,
      gateway: 'b',
      logger,
    });
    await expect(second.start()).rejects.toMatchObject({
      code: 'TG_STORE_LOCKED',
      details: { pid: process.pid },
    });
  });

  test('a restart finds the data and the schema as they were, and sends what the spool still holds', async () => {
    const before = await count('SELECT count() AS n FROM flows');
    process.kill(enginePid(store), 'SIGSTOP');
    await append(makeBatch(11, 77));
    const stopping = store.stop();
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.kill(enginePid(store) || lastPid, 'SIGCONT');
    await stopping;
    await open();
    expect(await store.writer.drain(20_000)).toBe(true);
    expect(await count('SELECT count() AS n FROM flows')).toBe(before + 11);
  }, 60_000);
});

let lastPid = 0;
/** The engine's process id is nobody's business but a fault injector's. */
function enginePid(store: Store): number {
  const pid = store.enginePid;
  if (pid !== undefined) lastPid = pid;
  return pid ?? 0;
}
