import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Retention, Store, storeConfig } from '../../src/store/index.js';
import { migrate } from '../../src/store/migrate.js';
import { EXPIRY_DAYS, MIGRATIONS } from '../../src/store/schema/index.js';
import { logger } from './support.js';

const tables = MIGRATIONS.flatMap(({ statements }) => statements).flatMap((statement) =>
  statement.kind === 'table' ? [statement] : [],
);

describe('what history keeps', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-retention-'));
  const store = new Store({ config: storeConfig.parse({}), dataDirectory: directory, gateway: 'g', logger });
  const count = async (sql: string): Promise<number> =>
    Number((await store.client.query<{ n: string }>(sql))[0]!.n);
  const retention = (budgets: Readonly<Record<string, number>>, archive = directory): Retention =>
    new Retention({
      client: () => store.client,
      database: 'tidegate',
      gateway: 'g',
      budgets,
      expiryDays: EXPIRY_DAYS,
      archive,
      intervalMs: 1e6,
      logger,
    });
  beforeAll(() => store.start());
  afterAll(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('every table that expires has a budget, and what never expires has none', () => {
    const budgets = Object.keys(storeConfig.parse({}).retention).sort();
    expect(budgets).toEqual(
      tables.flatMap(({ name, layout }) => (/\bTTL\b/.test(layout) ? [name] : [])).sort(),
    );
  });

  test('no table has more than 50 partitions within its age', () => {
    for (const { name, layout } of tables) {
      const by = /PARTITION BY (\w+)/.exec(layout)?.[1];
      const [, number, unit] = /INTERVAL (\d+) (HOUR|DAY)/.exec(layout) ?? [];
      if (by === undefined) continue;
      const days = unit === 'DAY' ? Number(number) : unit === 'HOUR' ? 1 : 50 * 365;
      const length = { toDate: 1, toYYYYMMDD: 1, toYYYYMM: 28, toYear: 366 }[by];
      expect(length, `${name} by ${by}`).toBeDefined();
      expect(days / length! + 1, name).toBeLessThanOrEqual(51);
    }
  });

  test.each(['flows', 'usage_1h', 'events', 'forecasts', 'resource_usage'])(
    '%s over its budget loses its oldest partitions, archived first, and keeps the newest',
    async (table) => {
      const time = { flows: 'flowEndNanoseconds', forecasts: 'created' }[table] ?? 'time';
      await store.client.command(
        `INSERT INTO ${table} (gateway, ${time}) SELECT 'old', now() - INTERVAL number % 3 * ${table === 'flows' ? 1 : 31} DAY FROM numbers(300) SETTINGS max_partitions_per_insert_block = 0`,
      );
      const before = await count(`SELECT count() AS n FROM ${table}`);
      const dropped = await retention({ [table]: 1 }).runOnce();
      expect(dropped.length).toBeGreaterThan(0);
      const rows = dropped.reduce((sum, partition) => sum + partition.rows, 0);
      expect(await count(`SELECT count() AS n FROM ${table}`)).toBe(
        before - rows + (table === 'events' ? dropped.length : 0),
      );
      let archived = 0;
      for (const { archived: path } of dropped) {
        archived += await count(`SELECT count() AS n FROM file('${path}', 'Parquet')`);
      }
      expect(archived).toBe(rows);
      expect(await retention({ [table]: 1 }).runOnce()).toEqual([]);
    },
  );

  test('what is about to expire is archived once, and left to expire', async () => {
    const archive = mkdtempSync(join(directory, 'expiring-'));
    await store.client.command('SYSTEM STOP TTL MERGES fingerprints');
    await store.client.command(
      `INSERT INTO fingerprints (gateway, flowId, time) SELECT 'old', number, now() - INTERVAL number % 2 * 6 DAY - INTERVAL 12 HOUR FROM numbers(200)`,
    );
    for (let run = 0; run < 2; run += 1) {
      // A new one each time: as after a restart, nothing is remembered.
      expect(await retention({ fingerprints: 1e12 }, archive).runOnce()).toEqual([]);
      const files = readdirSync(archive);
      expect(files).toEqual([expect.stringMatching(/^fingerprints-\d{8}-100\.parquet$/)]);
      const path = join(archive, files[0]!);
      expect(
        await count(`SELECT uniqExact(flowId) AS n FROM file('${path}', 'Parquet') WHERE flowId % 2 = 1`),
      ).toBe(100);
    }
    expect(await count('SELECT count() AS n FROM fingerprints')).toBe(200);
  });

  test('a partition whose archive cannot be written stays', async () => {
    const before = await count('SELECT count() AS n FROM flows');
    await store.client.command(
      "INSERT INTO flows (gateway, flowEndNanoseconds) SELECT 'stays', now64(9) - INTERVAL 3 DAY FROM numbers(10)",
    );
    await expect(retention({ flows: 1 }, '/proc/nowhere').runOnce()).rejects.toMatchObject({
      code: 'TG_STORE_QUERY',
    });
    expect(existsSync('/proc/nowhere')).toBe(false);
    expect(await count('SELECT count() AS n FROM flows')).toBe(before + 10);
  });

  test('a column that somebody dropped is told with its table', async () => {
    await store.client.command('ALTER TABLE plans DROP COLUMN costUsd');
    const told: unknown[] = [];
    const listening = { ...logger, info: () => {}, error: (what: unknown) => told.push(what) };
    await migrate(
      store.client,
      store.client,
      { database: 'tidegate' },
      'g',
      listening as unknown as typeof logger,
    );
    expect(told).toEqual([{ code: 'TG_STORE_DRIFT', table: 'plans', missing: ['costUsd'] }]);
  });
});
