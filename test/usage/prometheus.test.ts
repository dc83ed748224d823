import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PrometheusClient, usageConfig } from '../../src/usage/index.js';
import { freePort } from '../support/free-port.js';
import { noPrometheus, RealPrometheus, type Sample } from './real-prometheus.js';

const STEP = 60_000;
const POINTS = 12_500;
const GAP = { from: 6_000, until: 6_100 };
/** Prometheus goes on answering the last value for five minutes. */
const LOOKBACK_STEPS = 5;

describe.skipIf(noPrometheus !== undefined)(
  `a real Prometheus${noPrometheus ? ` (${noPrometheus})` : ''}`,
  () => {
    const prometheus = new RealPrometheus();
    const startMs = Math.floor((Date.now() - (POINTS + 200) * STEP) / STEP) * STEP;
    const valueAt = (i: number): number => (i % 1440) + i / 8;

    beforeAll(async () => {
      const samples: Sample[] = [];
      for (let i = 0; i < POINTS; i += 1)
        if (i < GAP.from || i >= GAP.until)
          samples.push({
            metric: 'level',
            labels: { host: 'a' },
            atMs: startMs + i * STEP,
            value: valueAt(i),
          });
      samples.push({
        metric: 'level',
        labels: { host: 'b' },
        atMs: startMs + 11_500 * STEP,
        value: Infinity,
      });
      samples.push({ metric: 'level', labels: { host: 'b' }, atMs: startMs + 11_501 * STEP, value: 7 });
      await prometheus.start(samples, true);
    }, 60_000);
    afterAll(() => prometheus.stop());

    test('a back-fill beyond its limit of points comes whole, with gaps as gaps', async () => {
      const endMs = startMs + POINTS * STEP;
      const found = await new PrometheusClient({ url: prometheus.url }).range('level', startMs, endMs, STEP);
      const a = found.find((entry) => entry.labels.host === 'a')!.series;
      expect(a).toMatchObject({ startMs, stepMs: STEP });
      expect(a.values).toHaveLength(POINTS);
      for (let i = 0; i < POINTS; i += 1) {
        if (i >= GAP.from && i < GAP.from + LOOKBACK_STEPS) continue;
        expect(a.values[i], `point ${i}`).toBe(i >= GAP.from && i < GAP.until ? Number.NaN : valueAt(i));
      }
      // A series that begins in a later chunk has the same axis, and infinity is no amount.
      const b = found.find((entry) => entry.labels.host === 'b')!.series;
      expect(b.values).toHaveLength(POINTS);
      expect(b.values[11_500]).toBeNaN();
      expect(b.values[11_501]).toBe(7);
      // The limit is real: asked for at once, the server refuses, and what it said is passed on.
      const greedy = new PrometheusClient({ url: prometheus.url, maximumPoints: 20_000 });
      await expect(greedy.range('level', startMs, endMs, STEP)).rejects.toMatchObject({
        code: 'TG_USAGE_QUERY',
        message: expect.stringContaining('bad_data'),
      });
    });

    test('the default queries tell cores and memory of a live node_exporter', async () => {
      const { cpuQuery, memoryQuery } = usageConfig.parse({});
      const client = new PrometheusClient({ url: prometheus.url });
      const begin = Date.now();
      let cpu: number[] = [];
      while (cpu.length === 0 && Date.now() - begin < 30_000) {
        await sleep(500);
        const [found] = await client.range(cpuQuery.replace('$window', '5s'), begin, Date.now(), 1000);
        cpu = [...(found?.series.values ?? [])].filter(Number.isFinite);
      }
      expect(cpu.length).toBeGreaterThan(0);
      // rate() extrapolates to the edges of its window, by at most a scrape on either side.
      for (const cores of cpu) expect(cores).toBeLessThanOrEqual(availableParallelism() * 1.5);
      const [memory] = await client.range(memoryQuery, Date.now() - 1000, Date.now(), 1000);
      expect(memory!.labels.instance).toMatch(/^127\.0\.0\.1:\d+$/);
      expect(memory!.series.values.find(Number.isFinite)).toBeGreaterThan(2 ** 20);
    }, 60_000);

    test('a query that is none is refused in its own words', async () => {
      const client = new PrometheusClient({ url: prometheus.url });
      await expect(client.range('sum by (', 0, 1000, 1000)).rejects.toMatchObject({ code: 'TG_USAGE_QUERY' });
    });
  },
);

describe('what is no Prometheus', () => {
  let server: Server;
  let answer: { status: number; body: string; delayMs?: number };
  let seen: string | undefined;

  beforeAll(async () => {
    server = createServer((request, response) => {
      seen = request.headers.authorization;
      setTimeout(() => response.writeHead(answer.status).end(answer.body), answer.delayMs ?? 0);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => server.close());

  const ask = (
    options: { timeoutMs?: number; user?: string; password?: string; bearerToken?: string } = {},
  ) =>
    new PrometheusClient({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix`,
      ...options,
    }).range('up', 0, 10_000, 1000);

  test.each([
    ['a page', { status: 200, body: '<html>' }, 'TG_USAGE_ANSWER'],
    [
      'another shape',
      { status: 200, body: '{"status":"success","data":{"resultType":"vector","result":[]}}' },
      'TG_USAGE_ANSWER',
    ],
    ['a gateway that is down', { status: 502, body: 'bad gateway' }, 'TG_USAGE_ANSWER'],
    ['a locked door', { status: 401, body: '' }, 'TG_USAGE_UNREACHABLE'],
    ['silence', { status: 200, body: '', delayMs: 2000 }, 'TG_USAGE_UNREACHABLE'],
  ])('%s is named', async (_name, given, code) => {
    answer = given;
    await expect(ask({ timeoutMs: 300 })).rejects.toMatchObject({ code });
  });

  test('nobody there', async () => {
    const client = new PrometheusClient({ url: `http://127.0.0.1:${await freePort()}` });
    await expect(client.range('up', 0, 1000, 1000)).rejects.toMatchObject({
      code: 'TG_USAGE_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('credentials go along', async () => {
    answer = { status: 200, body: '{"status":"success","data":{"resultType":"matrix","result":[]}}' };
    expect(await ask({ user: 'u', password: 'p' })).toEqual([]);
    expect(seen).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`);
    await ask({ bearerToken: 't' });
    expect(seen).toBe('Bearer t');
  });
});
