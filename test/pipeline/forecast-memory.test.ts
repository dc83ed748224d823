import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ForecastRequest, forecastSeries } from '../../src/forecast/index.js';
import { changesSince, Kindred } from '../../src/pipeline/kindred.js';
import { withContext } from '../../src/pipeline/request-context.js';
import { TrackRecords } from '../../src/pipeline/track-records.js';
import { Store, storeConfig } from '../../src/store/index.js';
import { logger } from '../store/support.js';

const GATEWAY = 'test';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const iso = (ms: number): string => new Date(ms).toISOString();
const unit = (angle: number): number[] =>
  Array.from({ length: 32 }, (_, i) => (i === 0 ? Math.cos(angle) : i === 1 ? Math.sin(angle) : 0));

describe('what forecasts remember, in the store', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-forecasts-'));
  const store = new Store({
    config: storeConfig.parse({}),
    dataDirectory: directory,
    gateway: GATEWAY,
    logger,
  });
  const toMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const fromMs = toMs - 20 * DAY_MS;
  const window = { gateway: GATEWAY, fromMs, toMs, stepMs: HOUR_MS, table: 'usage_1h' as const };
  const seriesId = `${GATEWAY}/2/bandwidthOutBps`;

  beforeAll(async () => {
    await store.start();
    const workload = (gateway: string, workloadId: number, angle: number, ageMs: number, modelId = 'm') => ({
      gateway,
      workloadId,
      name: `${gateway} ${workloadId}`,
      fingerprint: unit(angle),
      modelId,
      firstSeen: iso(toMs - ageMs),
      lastSeen: iso(toMs),
      updated: iso(toMs),
    });
    await store.client.insertRows('workloads', [
      workload(GATEWAY, 1, 0, HOUR_MS),
      workload(GATEWAY, 2, 0.2, 20 * DAY_MS),
      workload(GATEWAY, 3, 1.5, 20 * DAY_MS),
      workload(GATEWAY, 4, 0, HOUR_MS),
      workload(GATEWAY, 5, 0, 20 * DAY_MS, 'another encoder'),
      workload('elsewhere', 9, 0.1, 20 * DAY_MS),
    ]);
    const usage = (gateway: string, workloadId: number, scale: number) =>
      Array.from({ length: 20 * 24 }, (_, h) => ({
        time: iso(fromMs + h * HOUR_MS),
        gateway,
        workloadId,
        linkId: 'public-a',
        octetsOut: Math.round(scale * (1000 + 500 * Math.sin((2 * Math.PI * h) / 24))),
      }));
    await store.client.insertRows('usage_1h', [...usage(GATEWAY, 2, 3600), ...usage('elsewhere', 9, 36_000)]);
    await store.client.insertRows('events', [
      {
        time: iso(toMs - 2 * HOUR_MS),
        gateway: GATEWAY,
        kind: 'workload_changed',
        workloadId: 2,
        words: 'changed',
      },
      { time: iso(toMs - HOUR_MS), gateway: GATEWAY, kind: 'workload_new', workloadId: 1, words: 'new' },
    ]);
  });
  afterAll(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const request: ForecastRequest = {
    seriesId,
    signal: 'bandwidthOutBps',
    history: {
      startMs: fromMs,
      stepMs: HOUR_MS,
      values: Float64Array.from(
        { length: 20 * 24 },
        (_, h) => 1000 + 500 * Math.sin((2 * Math.PI * h) / 24) + ((h * 7919) % 97),
      ),
    },
    horizonSteps: 24,
    seasonSteps: [24],
    quantiles: [0.5, 0.9, 0.99],
    catchUpOrigins: 12,
  };

  test('realised errors come back from the store as they were, and the forecast is the same', async () => {
    const first = forecastSeries(request, toMs);
    const writer = new TrackRecords(store.client, GATEWAY);
    await writer.add([first], toMs);
    const reader = new TrackRecords(store.client, GATEWAY);
    const remembered = (await writer.of([seriesId], fromMs))(seriesId);
    const stored = (await reader.of([seriesId], fromMs))(seriesId);
    expect([...stored.keys()].sort()).toEqual(['0-3600', '21600-86400', '3600-21600']);
    for (const [bucket, records] of stored) {
      const wanted = remembered.get(bucket)!;
      expect(records.map((r) => r.origin)).toEqual(wanted.map((r) => r.origin));
      for (const [i, record] of records.entries()) {
        expect(Object.fromEntries(record.members.map((m, k) => [m, record.errors[k]]))).toEqual(
          Object.fromEntries(wanted[i]!.members.map((m, k) => [m, wanted[i]!.errors[k]])),
        );
        expect(record.widening).toEqual(wanted[i]!.widening);
        expect(record.missed).toEqual(wanted[i]!.missed);
        for (const [k, value] of record.standardised.entries())
          expect(value).toBeCloseTo(wanted[i]!.standardised[k]!, 3);
      }
    }
    const again = forecastSeries({ ...request, record: stored, catchUpOrigins: 0 }, toMs);
    expect(again.median).toEqual(first.median);
    expect(again.relativeToSeasonalNaive).toBeCloseTo(first.relativeToSeasonalNaive!, 9);
    const accuracy = await store.reader.query<{ bucket: string }>(
      "SELECT DISTINCT bucket FROM forecast_accuracy WHERE model = 'ensemble' AND workloadId = 2",
    );
    expect(accuracy).toHaveLength(3);
  });

  test('the nearest older fingerprints of the same encoder lend their history, of any gateway', async () => {
    const kin = await Kindred.find(store.client, window, [1], toMs - 2 * DAY_MS);
    const donors = kin.donorsOf(1, 'bandwidthOutBps');
    expect(donors.map((donor) => donor.name)).toEqual(['elsewhere 9', 'test 2']);
    expect(donors[0]!.similarity).toBeCloseTo(Math.cos(0.1), 3);
    // Octets an hour as bit/s.
    expect(donors[1]!.history.values[6]).toBeCloseTo(8 * 1500, 0);
    expect(kin.donorsOf(2, 'bandwidthOutBps')).toEqual([]);
  });

  test('a request is told events, changes of its fingerprint and donors while it is young', async () => {
    expect([...(await changesSince(store.client, GATEWAY, fromMs))]).toEqual([[2, toMs - 2 * HOUR_MS]]);
    const young: ForecastRequest = {
      ...request,
      seriesId: `${GATEWAY}/1/bandwidthOutBps`,
      history: {
        startMs: toMs - 5 * HOUR_MS,
        stepMs: HOUR_MS,
        values: Float64Array.of(60, 80, 100, 120, 140),
      },
    };
    const told = await withContext([young, request], {
      client: store.client,
      window,
      nameOf: (workloadId) => (workloadId === 1 ? 'backup' : 'web'),
      settings: {
        seasonsMs: [DAY_MS],
        horizonMs: DAY_MS,
        regressors: [],
        calendar: [
          { name: 'holiday', fromMs: toMs, untilMs: toMs + DAY_MS },
          { name: 'backup window', fromMs, untilMs: fromMs + HOUR_MS, every: 'day', workload: 'backup' },
        ],
      },
    });
    expect(told[0]!.donors).toHaveLength(2);
    expect(told[1]!.donors).toEqual([]);
    expect(told[1]!.changedMs).toBe(toMs - 2 * HOUR_MS);
    expect(new Set(told[0]!.events!.map((event) => event.name))).toEqual(
      new Set(['holiday', 'backup window']),
    );
    expect(new Set(told[1]!.events!.map((event) => event.name))).toEqual(new Set(['holiday']));
    const forecast = forecastSeries(told[0]!, toMs);
    expect(forecast.notes.join()).toMatch(/borrowed from elsewhere 9/);
    expect(Math.max(...forecast.median)).toBeGreaterThan(1.5 * Math.min(...forecast.median));
  });
});
