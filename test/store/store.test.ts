import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@clickhouse/client';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FlowBatch } from '../../src/flow/batch.js';
import { FLOW_COLUMNS, SLAB_HEADER, slabLayout } from '../../src/flow/columns.js';
import { type BlockOptions, encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';

const logger = pino({ level: 'silent' });
const links: BlockOptions['links'] = {
  2: { linkId: 'private', network: 'private' },
  3: { linkId: 'public-a', network: 'public' },
};
const NOW_NS = BigInt(Date.now()) * 1_000_000n;

/** A batch whose every column holds values that depend on row and column, at the edges of their types. */
function makeBatch(rows: number, seed = 0): FlowBatch {
  const layout = slabLayout(Math.max(rows, 1));
  const buffer = new SharedArrayBuffer(layout.byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.rows] = rows;
  header[SLAB_HEADER.capacity] = layout.capacity;
  const batch = new FlowBatch(buffer);
  for (const [index, { name, type, width }] of FLOW_COLUMNS.entries()) {
    const view = batch.column(name, type);
    for (let i = 0; i < rows * width; i += 1) {
      const value = (i * 31 + index * 7 + seed) % 100;
      if (view instanceof BigUint64Array) view[i] = BigInt(value);
      else view[i] = type === 'f32' ? value / 8 : type === 'i16' ? value - 50 : value;
    }
  }
  const end = batch.column('flowEndNanoseconds', 'u64');
  const start = batch.column('flowStartNanoseconds', 'u64');
  const octets = batch.column('octetDeltaCount', 'u64');
  const [packets, reverse] = [
    batch.column('packetDeltaCount', 'u64'),
    batch.column('reversePacketDeltaCount', 'u64'),
  ];
  let total = 0;
  for (let row = 0; row < rows; row += 1) {
    start[row] = NOW_NS - 5_000_000_000n;
    end[row] = NOW_NS + BigInt(row);
    octets[row] = row === 0 ? 0xffff_ffff_ffff_ffffn : BigInt(row * 1000 + seed);
    batch.column('ingressInterface', 'u32')[row] = row % 2 === 0 ? 2 : 3;
    batch.column('egressInterface', 'u32')[row] = row % 2 === 0 ? 3 : 2;
    batch.column('samplingPacketInterval', 'u32')[row] = 1;
    batch.column('workloadId', 'u32')[row] = row % 3;
    batch.column('flowKind', 'u8')[row] = 4;
    total += Number(packets[row]! + reverse[row]!);
  }
  header[SLAB_HEADER.packetsLow] = total;
  return batch;
}

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
    const { BLOCK_COLUMNS } = await import('../../src/store/index.js');
    for (let i = 0; i < 3; i += 1) await store.client.insertBlock('flows', BLOCK_COLUMNS, block, 'twice:1');
    expect(await count("SELECT count() AS n FROM flows WHERE gateway = 'twice'")).toBe(5);
    for (const table of ['usage_1s', 'usage_1m', 'usage_5m', 'usage_1h']) {
      expect(await count(`SELECT sum(flows) AS n FROM ${table} WHERE gateway = 'twice'`), table).toBe(5);
    }
  });

  test('kill -9 of the engine at any moment loses and doubles nothing', async () => {
    const before = await count('SELECT count() AS n FROM flows');
    let appended = 0;
    for (let round = 0; round < 3; round += 1) {
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
    const reader = createClient({ url, username: user, password, database });
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
    await expect(
      reader.query({ query: "SELECT * FROM file('/etc/passwd', 'LineAsString')" }),
    ).rejects.toThrow();
    await reader.close();
    const stranger = createClient({ url, username: user, password: 'wrong' });
    await expect(stranger.query({ query: 'SELECT 1' })).rejects.toMatchObject({ code: '516' });
    await stranger.close();
  });

  test('parameters, settings and errors reach the client as from a server', async () => {
    const { url, user, password, database } = store.endpoint();
    const client = createClient({ url, username: user, password, database, compression: { response: true } });
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
