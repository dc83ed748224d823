import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  asStoreError,
  BatchWriter,
  encodeFlowBlock,
  Spool,
  Store,
  StoreClient,
  storeConfig,
} from '../../src/store/index.js';
import { insertStream, streamOf } from '../../src/store/insert.js';
import { NativeBlock } from '../../src/store/native-reader.js';
import { render } from '../../src/store/schema/index.js';
import type { FrameClient } from '../../src/store/sender.js';
import { zstdDecompress } from '../../src/store/zstd.js';
import {
  type OldServer,
  oldServerInstalled,
  oldServers,
  zookeeper,
  zookeeperInstalled,
} from './old-server.js';
import { chance, links, logger, makeBatch } from './support.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-old-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const access = { user: 'default', password: '', database: 'default' };

/** A block without the columns whose types the old server does not have yet, and the definitions of the others. */
function forOldServer(whole: NativeBlock): {
  readonly block: Uint8Array;
  readonly columns: readonly string[];
  readonly types: ReadonlyMap<string, string>;
} {
  const unknown = whole.columns.filter(({ type }) => /IPv6|DateTime64|^Map/.test(type));
  const { block, columns } = whole.without(new Set(unknown.map(({ name }) => name)));
  return { block, columns, types: new Map(whole.columns.map(({ name, type }) => [name, type])) };
}

describe.skipIf(!oldServerInstalled)(
  "Debian's ClickHouse as a second implementation (needs clickhouse-server)",
  () => {
    let server: OldServer;
    let client: StoreClient;
    beforeAll(async () => {
      server = (await oldServers(directory, [{ name: 'single', shard: 1 }]))[0]!;
      await server.start();
      client = new StoreClient({ ...access, url: server.url });
    }, 90_000);
    afterAll(async () => {
      await client.close();
      await server.kill();
    });

    test('queries, rows, exact 64-bit numbers and errors go over the same wire', async () => {
      await client.command('CREATE TABLE rows (n UInt64, s String) ENGINE = MergeTree ORDER BY n');
      const big = '18446744073709551615';
      await expect(client.insertRows('rows', [{ n: 1, s: 'x' }])).rejects.toMatchObject({
        code: 'TG_STORE_QUERY',
      });
      await client.command(`INSERT INTO rows VALUES (${big}, 'it''s')`);
      expect(await client.query('SELECT n, s FROM rows')).toEqual([{ n: big, s: "it's" }]);
      await expect(client.query('SELECT * FROM missing')).rejects.toMatchObject({
        code: 'TG_STORE_QUERY',
        details: { clickhouseCode: 60 },
      });
    });

    test('a block as we write it says to another reader what it says to ours', async () => {
      const whole = new NativeBlock(encodeFlowBlock(makeBatch(500), { gateway: 'g', links }));
      const { block, columns, types } = forOldServer(whole);
      await client.command(
        `CREATE TABLE flows (${columns.map((name) => `${name} ${types.get(name)}`).join(', ')}) ENGINE = Log`,
      );
      const paths = [1, 2, 3].map((i) => join(directory, `${i}.native`));
      for (const path of paths) writeFileSync(path, block);
      const plain = createClient({ url: server.url });
      await insertStream(
        plain,
        `INSERT INTO flows (${columns.join(', ')}) FORMAT Native`,
        streamOf(paths),
        {},
      );
      await plain.close();
      const parsed = new NativeBlock(block);
      const numbers = columns.filter((name) => /^UInt64$/.test(types.get(name)!));
      const [row] = await client.query<Record<string, string>>(
        `SELECT count() AS n, ${numbers.map((name) => `sum(${name}) AS s_${name}`).join(', ')}, sum(arraySum(packetSizeBins)) AS bins FROM flows`,
      );
      expect(row!.n).toBe('1500');
      for (const name of numbers) {
        const sum = BigInt.asUintN(64, parsed.sum(new Set([name])) * 3n);
        expect(row![`s_${name}`], name).toBe(String(sum));
      }
      expect(Number(row!.bins)).toBeGreaterThan(0);
    });

    test('it is told to be too old, and nothing is lost', async () => {
      const store = new Store({
        config: storeConfig.parse({ url: server.url }),
        dataDirectory: join(directory, 'gateway'),
        gateway: 'g',
        logger,
      });
      await store.start();
      await store.writer.append({ table: 'flows', block: new Uint8Array(9), rows: 1, packets: 1, octets: 1 });
      expect(await store.writer.drain(200)).toBe(false);
      expect(store.problem).toMatchObject({
        code: 'TG_STORE_VERSION',
        details: { version: expect.stringMatching(/^18\./) },
      });
      expect(store.writer.counters()).toMatchObject({ spoolFrames: 1, lost: [] });
      await store.stop();
    });
  },
);

describe.skipIf(!oldServerInstalled || !zookeeperInstalled)(
  'two shards, one with a replica (needs clickhouse-server, zookeeper and java)',
  () => {
    const home = join(directory, 'cluster');
    let keeper: Awaited<ReturnType<typeof zookeeper>>;
    let servers: OldServer[];
    beforeAll(async () => {
      keeper = await zookeeper(join(home, 'zookeeper'));
      await keeper.start();
      servers = await oldServers(
        home,
        [
          { name: 'a1', shard: 1 },
          { name: 'a2', shard: 1 },
          { name: 'b1', shard: 2 },
        ],
        keeper.port,
      );
      await Promise.all(servers.map((server) => server.start()));
    }, 120_000);
    afterAll(async () => {
      for (const server of servers ?? []) await server.kill();
      await keeper?.kill();
    });

    test('our DDL makes replicated and Distributed tables everywhere; writes go to the shard, over any of its replicas', async () => {
      const [a1, a2, b1] = servers as [OldServer, OldServer, OldServer];
      const urls = { a: { url: a1.url, replicas: [a2.url] }, b: { url: b1.url } };
      const admin = new StoreClient({ ...access, ...urls.a });
      await admin.command('CREATE DATABASE IF NOT EXISTS history ON CLUSTER gateways');
      const statement = {
        kind: 'table',
        name: 'counts',
        columns: '  gateway String,\n  n UInt64',
        engine: 'MergeTree',
        layout: 'ORDER BY (gateway, n)',
      } as const;
      for (const sql of render(statement, { database: 'history', cluster: 'gateways' }))
        await admin.command(sql);
      const a = new StoreClient({ ...access, ...urls.a, database: 'history' });
      const b = new StoreClient({ ...access, ...urls.b, database: 'history' });
      const put = (client: StoreClient, gateway: string, from: number): Promise<void> =>
        client.command(`INSERT INTO counts_local SELECT '${gateway}', number + ${from} FROM numbers(100)`);
      await put(a, 'a', 0);
      await put(b, 'b', 0);
      const second = new StoreClient({ ...access, url: a2.url, database: 'history' });
      const held = 'SELECT count() AS n FROM counts_local';
      await vi.waitFor(async () => expect(await second.query(held)).toEqual([{ n: '100' }]), 30_000);
      // The first replica of the shard dies: its other one takes what comes, and the sum stays whole.
      await a1.kill();
      await put(a, 'a', 100);
      const sums =
        'SELECT gateway, count() AS total, uniqExact(n) AS distinct FROM counts GROUP BY gateway ORDER BY gateway';
      const whole = [
        { gateway: 'a', total: '200', distinct: '200' },
        { gateway: 'b', total: '100', distinct: '100' },
      ];
      await vi.waitFor(async () => expect(await b.query(sums)).toEqual(whole), 30_000);
      // The same block again is recognised by the replicas of its shard.
      await put(a, 'a', 100);
      expect(await b.query(sums)).toEqual(whole);
      await a1.start();
      const back = new StoreClient({ ...access, url: a1.url, database: 'history' });
      await vi.waitFor(async () => expect(await back.query(held)).toEqual([{ n: '200' }]), 60_000);
      for (const client of [admin, a, b, back, second]) await client.close();
    }, 180_000);

    test('kill -9 in the middle of INSERTs, again and again: every record is there once, at both replicas', async () => {
      const [a1, a2] = servers as [OldServer, OldServer];
      const ROWS = 20_000;
      const KILLS = Math.ceil(Number(process.env.TIDEGATE_KILL_ROUNDS ?? 3) / 2);
      const random = chance(18_16);
      const frame = (number: number): Uint8Array => {
        const batch = makeBatch(ROWS, number);
        const ids = batch.column('flowId', 'u64');
        for (let row = 0; row < ROWS; row += 1) ids[row] = BigInt(number * ROWS + row);
        return encodeFlowBlock(batch, { gateway: 'g', links });
      };
      const { columns, types } = forOldServer(new NativeBlock(frame(0)));
      const admin = new StoreClient({ ...access, url: a1.url });
      await admin.command('CREATE DATABASE IF NOT EXISTS killed ON CLUSTER gateways');
      const statement = {
        kind: 'table',
        name: 'flows',
        columns: columns.map((name) => `  ${name} ${types.get(name)}`).join(',\n'),
        engine: 'MergeTree',
        layout: 'ORDER BY flowId',
      } as const;
      for (const sql of render(statement, { database: 'killed', cluster: 'gateways' }))
        await admin.command(sql);
      // It knows a block that comes again by its content, not by a token, and no settings of ours.
      const plain = createClient({
        url: a1.url,
        database: 'killed',
        log: { level: ClickHouseLogLevel.OFF },
      });
      let began = (): void => {};
      const client: FrameClient = {
        insertBlock: () => Promise.reject(new Error('nothing is refused here')),
        async insertFiles(_table, _columns, { paths, packed }) {
          const blocks = await Promise.all(
            paths.map(async (path) => {
              const bytes = readFileSync(path);
              return forOldServer(new NativeBlock(packed ? await zstdDecompress(bytes) : bytes)).block;
            }),
          );
          began();
          try {
            const query = `INSERT INTO flows_local (${columns.join(', ')}) FORMAT Native`;
            await insertStream(plain, query, Readable.from(blocks, { objectMode: false }), {});
          } catch (error) {
            throw asStoreError(error, a1.url);
          }
        },
      };
      const writer = new BatchWriter({
        spool: new Spool(join(home, 'spool'), false),
        client,
        gateway: 'g',
        spoolLimitBytes: 2 ** 30,
        spoolAgeMs: 3_600_000,
        logger,
      });
      await writer.start();
      let frames = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        const begun = new Promise<void>((resolve) => {
          began = resolve;
        });
        for (let i = 0; i < 6; i += 1) {
          await writer.append({ table: 'flows', block: frame(frames), rows: ROWS, packets: 1, octets: 1 });
          frames += 1;
        }
        await begun;
        await sleep(random() * 150);
        await a1.kill();
        expect(writer.counters().spoolFrames).toBeGreaterThan(0);
        await a1.start();
      }
      expect(await writer.drain(120_000)).toBe(true);
      await writer.stop();
      const whole = [{ rows: String(frames * ROWS), distinct: String(frames * ROWS) }];
      for (const { url } of [a1, a2]) {
        const reader = new StoreClient({ ...access, url, database: 'killed' });
        await vi.waitFor(
          async () =>
            expect(
              await reader.query('SELECT count() AS rows, uniqExact(flowId) AS distinct FROM flows_local'),
            ).toEqual(whole),
          60_000,
        );
        await reader.close();
      }
      await plain.close();
      await admin.close();
    }, 300_000);
  },
);
