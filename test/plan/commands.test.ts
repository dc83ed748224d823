import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { benchInput } from '../../src/cli/bench/plan-time.js';
import { register as registerCost } from '../../src/cli/commands/cost.js';
import { register as registerPlan } from '../../src/cli/commands/plan.js';
import type { CliContext } from '../../src/cli/context.js';
import { cycleSettings } from '../../src/config/parts.js';
import { writeRuntimeFile } from '../../src/config/runtime-file.js';
import { gatewayConfig } from '../../src/config/schema.js';
import type { Forecast } from '../../src/forecast/index.js';
import { PlanningCycle } from '../../src/pipeline/cycle.js';
import { LinkPrices } from '../../src/pipeline/link-prices.js';
import { type Plan, Planner } from '../../src/plan/index.js';
import { PriceBook } from '../../src/pricing/index.js';
import { Store, storeConfig } from '../../src/store/index.js';

/** Runs one command line as a newcomer would; what it wrote to stdout. */
async function run(...argv: string[]): Promise<string> {
  let text = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const context: CliContext = {
    stdout: sink,
    stderr: sink,
    interactive: false,
    progress: false,
    signal: new AbortController().signal,
  };
  const program = new Command('tidegate').exitOverride();
  registerPlan(program, context);
  registerCost(program, context);
  await program.parseAsync(argv, { from: 'user' });
  return text;
}

describe('plan and cost commands against a store', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-plan-'));
  const logger = pino({ level: 'silent' });
  const store = new Store({
    config: storeConfig.parse({}),
    dataDirectory: join(directory, 'data'),
    gateway: 'bill',
    logger,
  });
  const before = process.env.TIDEGATE_RUN_DIRECTORY;

  beforeAll(async () => {
    process.env.TIDEGATE_RUN_DIRECTORY = join(directory, 'run');
    await store.start();
    writeRuntimeFile({
      gateway: 'bill',
      pid: process.pid,
      startedMs: 0,
      dataDirectory: directory,
      store: store.endpoint(),
      api: { socket: join(directory, 'none'), urls: [] },
    });
    const planner = new Planner({ logger });
    await planner.start();
    const input = { ...benchInput(6, 4), gateway: 'bill' };
    const later = { ...input, nowMs: 1000, links: input.links.map((l) => ({ ...l, capacityBps: 4e9 })) };
    for (const plan of [await planner.plan(input), await planner.plan(later)]) {
      await store.client.insertRows('plans', [
        {
          created: new Date(plan.createdMs + 1e12).toISOString(),
          gateway: 'bill',
          planId: plan.id,
          expires: new Date(plan.expiresMs + 1e12).toISOString(),
          costUsd: plan.costUsd,
          doNothingUsd: plan.doNothingUsd,
          expectedViolationMinutes: plan.expectedViolationMinutes,
          plan: JSON.stringify(plan),
        },
      ]);
    }
    await planner.stop();
    const row = (time: string, workloadId: number, linkId: string, gb: number) => ({
      time,
      gateway: 'bill',
      workloadId,
      linkId,
      octetsOut: gb * 1e9,
      octetsIn: 0,
      packetsOut: 1,
      packetsIn: 0,
      flows: 1,
    });
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    await store.client.insertRows('usage_5m', [
      row('2026-10-31 23:55:00', 1, 'public-a', 5120),
      row('2026-11-01 00:00:00', 1, 'public-a', 7777),
      row(`${yesterday} 10:00:00`, 1, 'public-a', 11),
      row(`${yesterday} 10:05:00`, 1, 'private', 9),
    ]);
  }, 60_000);

  afterAll(async () => {
    if (before === undefined) delete process.env.TIDEGATE_RUN_DIRECTORY;
    else process.env.TIDEGATE_RUN_DIRECTORY = before;
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const tariffs = [
    ...['--tariff', 'public-a=aws-internet-us'],
    ...['--tariff', 'private=free', '--tariff', 'public-b=free'],
  ];

  test('the invoice of a month bills that month only, to the cent', async () => {
    const invoice = JSON.parse(
      await run('cost', 'invoice', '--month', '2026-10', ...tariffs, '-o', 'json'),
    ) as {
      totalUsd: number;
      lines: { item: string; amountUsd: number; words: string }[];
    };
    expect(invoice.totalUsd).toBe(451.8);
    expect(invoice.lines.map((line) => line.item)).toEqual(['free volume', 'egress']);
    expect(await run('cost', 'invoice', '--month', '2026-10', ...tariffs)).toContain(
      'total of 2026-10: $451.80',
    );
  });

  test('prices are written down when they change, and the month is read back from the store', async () => {
    const book = PriceBook.parse(`version: 1
tariffs:
  - { tariffId: metered, description: m, source: s, date: 2026-10-01, egress: [{ upToGb: 1, usdPerGb: 2 }, { usdPerGb: 1 }] }
  - tariffId: transit
    description: t
    source: s
    date: 2026-10-01
    egress: [{ usdPerGb: 0 }]
    burstable: { commitMbps: 1, usdPerMbpsMonth: 3, rule: out }
  - tariffId: line
    description: l
    source: s
    date: 2026-10-01
    egress: [{ usdPerGb: 0 }]
    circuit: { leadHours: 1, minimumHoldHours: 2, coolDownHours: 1, steps: [{ mbps: 10, usdPerMonth: 6 }, { mbps: 100, usdPerMonth: 9 }] }
instances: []
`);
    const links = (capacity: number) =>
      ['metered', 'transit', 'line'].map((tariff) => ({
        ...{ linkId: `by-${tariff}`, network: 'public' as const, wayOut: true, tariff },
        capacity,
      }));
    const usage = (time: string, linkId: string, octetsOut: number) => ({
      ...{ time, gateway: 'priced', workloadId: 1, linkId, octetsOut, octetsIn: 0 },
      ...{ packetsOut: 1, packetsIn: 0, flows: 1 },
    });
    const at = (text: string): number => Date.parse(text);
    // Three samples of 100 Mbit/s on the first of October, all within the month's free ones.
    await store.client.insertRows(
      'usage_5m',
      ['00:00:00', '00:05:00', '00:10:00'].map((t) => usage(`2026-10-01 ${t}`, 'by-transit', 100e6 * 37.5)),
    );
    const before = new LinkPrices(store.client, 'priced', book, links(10e6));
    const [metered, transit, line] = await before.priced(at('2026-10-01T12:00:00Z'));
    expect(metered?.usdPerGb).toBe(2);
    // 31 days × 288 × 5 % = 446 free samples; the day so far aims no higher than the commit of 1 Mbit/s.
    expect(transit?.burst).toEqual({
      ...{ levelBps: 1e6, freeSamples: 443, sampleMs: 300_000, usdPerMbps: 3 },
    });
    expect(line?.circuit).toMatchObject({ currentMbps: 10 });
    expect(line?.circuit?.sinceMs).toBeUndefined();
    await before.priced(at('2026-10-01T13:00:00Z'));
    await store.client.insertRows('usage_1h', [usage('2026-10-01 14:00:00', 'by-metered', 3e9)]);
    // A new process, links of another capacity: what the month was is known from the store.
    const after = new LinkPrices(store.client, 'priced', book, links(100e6));
    const later = await after.priced(at('2026-10-02T00:00:00Z'));
    expect(later[0]?.usdPerGb).toBe(1);
    expect(later[1]?.burst?.freeSamples).toBe(443);
    const next = await new LinkPrices(store.client, 'priced', book, links(100e6)).priced(
      at('2026-10-03T00:00:00Z'),
    );
    expect(next[2]?.circuit).toMatchObject({ currentMbps: 100, sinceMs: at('2026-10-02T00:00:00Z') });
    const rows = await store.client.query<{ usdPerGb: number; validFrom: string }>(
      `SELECT usdPerGb, toString(validFrom) AS validFrom FROM link_prices FINAL WHERE gateway = 'priced' AND linkId = 'by-metered' ORDER BY link_prices.validFrom`,
    );
    expect(rows.map((row) => row.usdPerGb)).toEqual([2, 1, 1]);
    const [costs] = await store.client.query<{ trafficUsd: number; missing: number }>(
      `SELECT sum(trafficUsd) AS trafficUsd, toFloat64(sum(hoursWithoutPrice)) AS missing FROM cost_daily WHERE gateway = 'priced' AND linkId = 'by-metered'`,
    );
    expect(costs).toEqual({ trafficUsd: 6, missing: 0 });
    const items = await store.client.query<{ item: string; price: number }>(
      `SELECT item, price FROM prices FINAL WHERE gateway = 'priced' AND tariffId = 'metered' ORDER BY item`,
    );
    expect(items).toEqual([
      { item: 'egress per GB from 0 GB', price: 2 },
      { item: 'egress per GB from 1 GB', price: 1 },
    ]);
  });

  test('a link without a tariff is named, and what there is', async () => {
    await expect(run('cost', 'invoice', '--month', '2026-10')).rejects.toMatchObject({
      code: 'TG_CLI_COST_TARIFF',
    });
  });

  test('the ledger knows what a day cost, and what else it could have', async () => {
    const days = JSON.parse(
      await run(
        'cost',
        'show',
        '--since',
        '2d',
        ...['--tariff', 'public-a=aws-direct-connect-us'],
        ...tariffs.slice(2),
        '-o',
        'json',
      ),
    ) as { actualUsd: number; doNothingUsd: number; perfectUsd: number; gb: number }[];
    expect(days).toHaveLength(1);
    // A day of the port, and 11 of 20 GB at $0.02; doing nothing all 20; perfect foresight none of them.
    expect(days[0]!.gb).toBeCloseTo(20, 9);
    expect(days[0]!.actualUsd).toBeCloseTo(7.2 + 0.22, 6);
    expect(days[0]!.doNothingUsd).toBeCloseTo(7.2 + 0.4, 6);
    expect(days[0]!.perfectUsd).toBeCloseTo(7.2, 6);
  });

  test('a cycle that makes no plan says why', async () => {
    const cycle = (gateway: string, forecast: () => Promise<Forecast[]>) =>
      new PlanningCycle({
        ...{ client: store.client, gateway, logger, forecasts: { forecast }, onPlan: async () => {} },
        planner: { plan: async () => expect.unreachable('nothing to plan for') },
        links: async () => [],
        linksDown: async () => new Set<string>(),
        names: () => String,
        settings: cycleSettings(gatewayConfig.parse({}), PriceBook.load().instance('m5.large')),
      });
    const why = (gateway: string, forecast: () => Promise<Forecast[]>) =>
      cycle(gateway, forecast).runOnce(Date.now());
    expect(await why('nobody', async () => [])).toMatchObject({ reason: 'no-traffic' });
    expect(await why('bill', async () => [])).toMatchObject({ reason: 'no-forecast' });
    const broken = await why('bill', () => Promise.reject(new Error('the pool is gone')));
    expect(broken).toMatchObject({ reason: 'failed', words: 'the cycle failed: the pool is gone' });
  });

  test('plans are shown, listed and compared', async () => {
    expect(await run('plan', 'show')).toMatch(/costs \$/);
    const shown = JSON.parse(await run('plan', 'show', '-o', 'json')) as Plan;
    expect(shown.gateway).toBe('bill');
    expect(JSON.parse(await run('plan', 'history', '-o', 'json'))).toHaveLength(2);
    const difference = JSON.parse(await run('plan', 'diff', '-o', 'json')) as {
      after: string;
      changes: { linkId: string; beforeBps: number; afterBps: number }[];
    };
    expect(difference.after).toBe(shown.id);
    const own = difference.changes.filter((c) => c.linkId === 'private');
    const sum = (pick: (c: (typeof own)[number]) => number) => own.reduce((s, c) => s + pick(c), 0);
    expect(sum((c) => c.afterBps)).toBeGreaterThan(sum((c) => c.beforeBps));
    expect(await run('plan', 'diff')).toContain('from plan');
  });

  test('a plan can be made from a file', async () => {
    const file = join(directory, 'input.json');
    writeFileSync(file, JSON.stringify(benchInput(3, 2)));
    const plan = JSON.parse(await run('plan', 'create', '--input', file, '-o', 'json')) as Plan;
    expect(plan.solver.status).toBe('Optimal');
  });

  const link = (change: object) => {
    const input = benchInput(3, 2);
    return { ...input, links: input.links.map((l, i) => (i === 0 ? { ...l, ...change } : l)) };
  };
  const goals = (change: object) => ({
    ...benchInput(3, 2),
    goals: { ...benchInput(3, 2).goals, ...change },
  });
  const firstWorkload = (change: object) => {
    const input = benchInput(3, 2);
    return { ...input, workloads: input.workloads.map((w, i) => (i === 0 ? { ...w, ...change } : w)) };
  };
  test.each([
    ['nothing', {}, 'TG_CLI_PLAN_INPUT', /nowMs/],
    ['no links', { ...benchInput(3, 2), links: 'none' }, 'TG_CLI_PLAN_INPUT', /links/],
    [
      'a negative price',
      link({ usdPerGb: -1 }),
      'TG_CLI_PLAN_INPUT',
      /links\.0\.usdPerGb: the price of a gigabyte is negative/,
    ],
    ['a missing price', link({ portHourUsd: undefined }), 'TG_CLI_PLAN_INPUT', /port-hour is missing/],
    ['a link over-used', goals({ maximumUtilisation: 1.5 }), 'TG_CLI_PLAN_INPUT', /at most 1/],
    ['a demand without its peak', firstWorkload({ peakBps: undefined }), 'TG_CLI_PLAN_INPUT', /peakBps/],
    ['a demand of another length', firstWorkload({ peakBps: [1] }), 'TG_PLAN_INPUT', /2 finite values/],
    ['a pin to nowhere', firstWorkload({ pinnedTo: 'moon' }), 'TG_PLAN_INPUT', /unknown link moon/],
    [
      'a stale forecast',
      { ...benchInput(3, 2), forecastMs: benchInput(3, 2).nowMs - 1e10 },
      'TG_PLAN_STALE',
      /older than their horizon/,
    ],
    [
      'goals that no link keeps',
      {
        ...firstWorkload({ latencyBoundMs: 1 }),
        links: benchInput(3, 2).links.map((l, i) => ({ ...l, latencyMs: 5 + i })),
      },
      'TG_PLAN_GOALS',
      /conflict/,
    ],
  ])('a plan of %s is refused with the reason', async (_, input, code, words) => {
    const file = join(directory, 'wrong.json');
    writeFileSync(file, JSON.stringify(input));
    const made = run('plan', 'create', '--input', file);
    await expect(made).rejects.toMatchObject({ code });
    await expect(made).rejects.toThrow(words);
  });

  const bookOf = (tariff: string) =>
    `version: 1\ntariffs: [{ tariffId: t, description: d, source: s, date: 2026-01-01, ${tariff} }]\ninstances: []\n`;
  test.each([
    ['a negative price', bookOf('egress: [{ usdPerGb: -1 }]'), /cannot be negative/],
    ['no price', bookOf('egress: [{ upToGb: 5 }]'), /usdPerGb/],
    ['a gap between tiers', bookOf('egress: [{ usdPerGb: 1 }, { usdPerGb: 2 }]'), /gap/],
    ['another currency', bookOf('currency: EUR, egress: [{ usdPerGb: 1 }]'), /only USD/],
  ])('a price book with %s is refused with the line', async (_, text, words) => {
    const file = join(directory, 'book.yaml');
    writeFileSync(file, text);
    const shown = run('cost', 'prices', '--price-book', file);
    await expect(shown).rejects.toMatchObject({ code: 'TG_PRICING_INVALID' });
    await expect(shown).rejects.toThrow(words);
    await expect(shown).rejects.toThrow('book.yaml:2');
  });

  test('the month that is running is billed until now, and says so', async () => {
    const month = new Date().toISOString().slice(0, 7);
    const port = ['--tariff', 'public-a=aws-direct-connect-us', ...tariffs.slice(2)];
    expect(await run('cost', 'invoice', '--month', month, ...port)).toContain(
      'note: the month is not over: this is the bill until',
    );
    const { lines } = JSON.parse(await run('cost', 'invoice', '--month', month, ...port, '-o', 'json')) as {
      lines: { item: string; quantity: number }[];
    };
    const elapsedHours = (Date.now() - Date.parse(`${month}-01T00:00:00Z`)) / 3_600_000;
    expect(lines.find(({ item }) => item === 'port')?.quantity).toBeCloseTo(elapsedHours, 1);
  });

  test('several files are replayed to one line each', async () => {
    const files = ['calm', 'wild'].map((name, k) => {
      const file = join(directory, `${name}.csv`);
      const rows = Array.from(
        { length: 5 * 24 },
        (_, t) => `${t * 3600},${1 + Math.sin(t / 4) + k * (t % 7)}`,
      );
      writeFileSync(file, `time,bps\n${rows.join('\n')}\n`);
      return file;
    });
    const text = await run('plan', 'simulate', ...files);
    expect(text).toMatch(/calm .*\n.*wild /);
    expect(text).toMatch(/fewer violation minutes: \d of 2 traces/);
    const json = JSON.parse(await run('plan', 'simulate', ...files, '-o', 'json')) as {
      file: string;
      policies: { policy: string }[];
    }[];
    expect(json.map((row) => row.file)).toEqual(files);
    expect(json[1]!.policies.map((p) => p.policy)).toContain('tidegate');
  });

  test('the store is replayed like a file, and refuses what is too short', async () => {
    await expect(run('plan', 'simulate', '--from-store', '--since', '2d')).rejects.toMatchObject({
      code: 'TG_PLAN_SERIES_SHORT',
    });
    await expect(run('plan', 'simulate')).rejects.toMatchObject({ code: 'TG_CLI_SIMULATE_SOURCE' });
  });

  test('the price book is printed with sources', async () => {
    expect(await run('cost', 'prices')).toContain('egresscost.com');
  });
});
