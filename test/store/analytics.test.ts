import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { burstableBill } from '../../src/pricing/index.js';
import { encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';
import { MIGRATIONS } from '../../src/store/schema/index.js';
import { links, logger, makeBatch } from './support.js';

const DOCUMENT = readFileSync(new URL('../../docs/analytics.md', import.meta.url), 'utf8');
const GATEWAY = 'test';
const iso = (ms: number): string => new Date(ms).toISOString();
const HOUR_MS = 3_600_000;
const fingerprint = Array.from({ length: 32 }, (_, i) => (i === 3 ? 1 : 0));

describe('history for people', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-analytics-'));
  const store = new Store({
    config: storeConfig.parse({}),
    dataDirectory: directory,
    gateway: GATEWAY,
    logger,
  });
  const now = Date.now();

  beforeAll(async () => {
    await store.start();
    const batch = makeBatch(200);
    batch.column('octetDeltaCount', 'u64').fill(4_000n);
    const block = encodeFlowBlock(batch, { gateway: GATEWAY, links });
    await store.writer.append({ table: 'flows', block, rows: 200, packets: batch.packets, octets: 0 });
    const { client } = store;
    const common = { gateway: GATEWAY, workloadId: 1 };
    await client.insertRows('workloads', [
      {
        ...common,
        name: 'backup',
        fingerprint,
        firstSeen: iso(now - HOUR_MS),
        lastSeen: iso(now),
        flows: 9,
        updated: iso(now),
      },
    ]);
    await client.insertRows('reference_fingerprints', [
      { ...common, referenceId: 1, fingerprint, updated: iso(now) },
    ]);
    await client.insertRows('forecasts', [
      {
        ...common,
        created: iso(now),
        seriesId: `${GATEWAY}/1/bandwidthOutBps`,
        signal: 'bandwidthOutBps',
        start: iso(now),
        stepMs: 300_000,
        median: [5, 7, 6],
        levels: [0.9],
        quantiles: [[8, 9, 8]],
        status: 'ok',
        coverageP90: 0.91,
        coverageP99: 0.99,
      },
    ]);
    await client.insertRows('forecast_errors', [
      {
        created: iso(now - HOUR_MS),
        gateway: GATEWAY,
        seriesId: `${GATEWAY}/1/bandwidthOutBps`,
        model: 'ensemble',
        bucket: 'all',
        meanAbsoluteError: 2,
        scale: 10,
        errors: [1, -3],
        realised: iso(now),
      },
    ]);
    await client.insertRows('plans', [
      { created: iso(now), gateway: GATEWAY, planId: 'p', expires: iso(now), costUsd: 3, doNothingUsd: 5 },
    ]);
    await client.insertRows('actuations', [{ time: iso(now), gateway: GATEWAY, planId: 'p', words: 'done' }]);
    await client.insertRows('events', [
      { ...common, time: iso(now), kind: 'new', words: 'a workload appeared' },
    ]);
    await client.insertRows('resource_usage', [
      { ...common, time: iso(now), cpuCores: 1.5, memoryBytes: 2 ** 30, source: 'test' },
    ]);
    await client.insertRows('link_prices', [
      {
        gateway: GATEWAY,
        linkId: 'public-a',
        validFrom: iso(now - 400 * 24 * HOUR_MS),
        network: 'public',
        tariffId: 't',
        usdPerGb: 0.09,
        portHourUsd: 0.25,
        capacityBps: 1e9,
      },
    ]);
    expect(await store.writer.drain(30_000)).toBe(true);
  });
  afterAll(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const questions = [...DOCUMENT.matchAll(/^### (\d+\. .+)\n+```sql\n([\s\S]*?)\n```/gm)];
  test('there are twenty questions', () => expect(questions).toHaveLength(20));
  test.each(questions.map(([, title, sql]) => [title!, sql!]))('%s', async (_title, sql) => {
    expect((await store.reader.query(sql)).length).toBeGreaterThan(0);
  });

  test('every table and view is described, column by column', async () => {
    const columns = await store.reader.query<{ table: string; name: string }>(
      "SELECT table, name FROM system.columns WHERE database = 'tidegate' AND NOT endsWith(table, '_view')",
    );
    const sections = new Map(
      DOCUMENT.split(/^### `/m)
        .slice(1)
        .map((section) => [section.slice(0, section.indexOf('`')), section]),
    );
    // A view with a parameter has no columns before it is asked.
    const parameterised = ['burstable_p95_in'];
    expect([...new Set(columns.map((column) => column.table)), ...parameterised].sort()).toEqual(
      [...sections.keys()].sort(),
    );
    for (const { table, name } of columns) {
      expect(sections.get(table), `${table}.${name}`).toMatch(new RegExp(`^\\| \`${name}\` \\|`, 'm'));
    }
  });

  test('no table is kept in more parts of time than ClickHouse takes well', () => {
    const days = { toDate: 1, toYYYYMMDD: 1, toYYYYMM: 28, toYear: 365 };
    for (const statement of MIGRATIONS.flatMap((migration) => migration.statements)) {
      if (statement.kind !== 'table') continue;
      const by = /PARTITION BY (\w+)/.exec(statement.layout)?.[1] as keyof typeof days | undefined;
      const kept = /INTERVAL (\d+) (DAY|HOUR)/.exec(statement.layout);
      if (by === undefined || kept === null) continue;
      const keptDays = Number(kept[1]) / (kept[2] === 'HOUR' ? 24 : 1);
      expect(keptDays / days[by], statement.name).toBeLessThanOrEqual(50);
    }
  });

  test('burstable_p95 is what the price book bills, for a month with gaps', async () => {
    const month = new Date(now);
    const begin = Date.UTC(month.getUTCFullYear(), month.getUTCMonth() - 1, 1);
    const end = Date.UTC(month.getUTCFullYear(), month.getUTCMonth(), 1);
    const steps = (end - begin) / 300_000;
    const out = new Float64Array(steps);
    const inbound = new Float64Array(steps);
    const rows: Record<string, unknown>[] = [];
    for (let step = 0; step < steps; step += 1) {
      // Traffic in a fifth of the samples, split over two workloads that the carrier does not tell apart.
      if ((step * 7919) % 5 !== 0) continue;
      const octets = ((step * 104_729) % 10_007) * 1000;
      out[step] = (octets * 8) / 300;
      inbound[step] = (octets * 4) / 300;
      for (const workloadId of [1, 2]) {
        rows.push({
          time: iso(begin + step * 300_000),
          gateway: GATEWAY,
          linkId: 'public-b',
          workloadId,
          octetsOut: octets / 2,
          octetsIn: octets / 4,
        });
      }
    }
    await store.client.insertRows('usage_5m', rows);
    const [row] = await store.reader.query<{ p95Bps: number; outP95Bps: number; samples: number }>(
      "SELECT p95Bps, outP95Bps, samples FROM burstable_p95 WHERE linkId = 'public-b'",
    );
    const terms = {
      percentile: 95,
      rule: 'max',
      sampleMinutes: 5,
      commitMbps: 0,
      usdPerMbpsMonth: 1,
      roundUpMbps: 0,
      timeZone: 'UTC',
    } as const;
    const bill = burstableBill(terms, { outBps: out, inBps: inbound });
    expect(Number(row!.samples)).toBe(steps);
    expect(Number(row!.p95Bps)).toBeCloseTo(bill.measuredBps, 3);
  });

  test('cost_daily prices what left by the link, and the hours it was there', async () => {
    const [row] = await store.reader.query<{ gb: number; trafficUsd: number; portUsd: number }>(
      "SELECT sum(gigabytesOut) AS gb, sum(trafficUsd) AS trafficUsd, sum(portUsd) AS portUsd FROM cost_daily WHERE linkId = 'public-a'",
    );
    const [flows] = await store.reader.query<{ octets: string }>(
      "SELECT toString(sum(octetsOut)) AS octets FROM flows WHERE linkId = 'public-a'",
    );
    expect(Number(row!.gb)).toBeCloseTo(Number(flows!.octets) / 1e9, 12);
    expect(Number(row!.trafficUsd)).toBeCloseTo((Number(flows!.octets) / 1e9) * 0.09, 12);
    expect(Number(row!.portUsd)).toBeCloseTo(0.25, 12);
  });
});
