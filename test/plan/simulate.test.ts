import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { assumptionsSchema, readSeries, type Series, simulate } from '../../src/plan/index.js';
import { predictivePolicy } from '../../src/plan/simulate/predictive.js';
import { parseSeries, parseTimestampMs } from '../../src/plan/simulate/series.js';
import { outcomeOf, worldOf } from '../../src/plan/simulate/world.js';

const DAY = 288;

/** Days with a daily and a weekly shape and noise that remembers itself; the same for the same seed. */
function syntheticSeries(days: number, seed = 1): Series {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  let noise = 0;
  const values = Float64Array.from({ length: days * DAY }, (_, t) => {
    noise = 0.9 * noise + 0.04 * (random() - 0.5);
    const day = Math.sin((2 * Math.PI * t) / DAY - 2);
    const weekend = Math.floor(t / DAY) % 7 >= 5 ? 0.6 : 1;
    return 1e9 * weekend * (1.2 + day + noise);
  });
  return {
    startMs: 0,
    stepMs: 300_000,
    values,
    filledSteps: 0,
    timestampColumn: 'time',
    valueColumn: 'bps',
  };
}

const at = (result: Awaited<ReturnType<typeof simulate>>, policy: string) =>
  result.policies.find((p) => p.policy === policy)!;

describe('a simulation', () => {
  it('puts the oracle first, keeps the goal, and beats the reactive rule on both counts', async () => {
    const result = await simulate(syntheticSeries(45), assumptionsSchema.parse({}));
    const tidegate = at(result, 'tidegate');
    const reactive = at(result, 'reactive-50/35');
    expect(at(result, 'oracle').violationMinutes).toBe(0);
    expect(at(result, 'oracle').ratioToOracle).toBe(1);
    // Only who drops traffic can pay less than perfect foresight.
    for (const p of result.policies.filter((x) => x.violationMinutes === 0)) {
      expect(p.ratioToOracle).toBeGreaterThanOrEqual(1 - 1e-9);
      expect(p.computeRatioToOracle).toBeGreaterThanOrEqual(1 - 1e-9);
    }
    for (const p of result.policies)
      expect(p.totalCostUsd).toBeCloseTo(p.computeCostUsd + p.egressCostUsd, 9);
    expect(tidegate.violationPercent).toBeLessThanOrEqual(0.1);
    expect(tidegate.ratioToOracle).toBeLessThanOrEqual(1.02);
    expect(tidegate.totalCostUsd).toBeLessThan(reactive.totalCostUsd);
    expect(tidegate.violationMinutes).toBeLessThanOrEqual(reactive.violationMinutes);
  });

  it('never uses the future: another future changes no decision made before it', () => {
    const series = syntheticSeries(20);
    const assumptions = assumptionsSchema.parse({ scaleP99Bps: 0, privateCapacityBps: 1e9, testMs: '5d' });
    const world = worldOf(series, assumptions);
    const cut = world.testStart + 500;
    const changed = { ...series, values: series.values.map((v, t) => (t >= cut ? v * 3 + 1e9 : v)) };
    const before = predictivePolicy(world).machines;
    const after = predictivePolicy(worldOf(changed, assumptions)).machines;
    // The machines of step cut + lead - 1 were decided with values up to cut - 1.
    const until = cut + world.leadSteps;
    expect(after.subarray(0, until)).toEqual(before.subarray(0, until));
    expect(after.subarray(until)).not.toEqual(before.subarray(until));
  });

  it('gives equal results for equal inputs', async () => {
    const run = () => simulate(syntheticSeries(20), assumptionsSchema.parse({ testMs: '5d' }));
    expect(await run()).toEqual(await run());
  });

  it('never pays more with more private capacity, with perfect foresight', async () => {
    const series = syntheticSeries(20);
    let before = Number.POSITIVE_INFINITY;
    for (const capacity of [5e8, 1e9, 1.5e9, 2.5e9]) {
      const assumptions = assumptionsSchema.parse({ privateCapacityBps: capacity, testMs: '5d' });
      const cost = at(await simulate(series, assumptions), 'oracle').totalCostUsd;
      expect(cost).toBeLessThanOrEqual(before + 1e-9);
      before = cost;
    }
  });

  it('takes more risk when a violation is cheap and less when it is dear', () => {
    const series = syntheticSeries(30);
    const run = (violationUsdPerMinute: number) => {
      const world = worldOf(series, assumptionsSchema.parse({ violationUsdPerMinute }));
      return outcomeOf(world, predictivePolicy(world).machines, world.testStart, world.demandBps.length);
    };
    const [cheap, dear] = [run(0.0001), run(100)];
    expect(cheap.computeCostUsd).toBeLessThanOrEqual(dear.computeCostUsd);
    expect(cheap.violationMinutes).toBeGreaterThanOrEqual(dear.violationMinutes);
  });

  it('holds its figures on a real trace', async (context) => {
    const data = process.env.TIDEGATE_DATA ?? resolve(import.meta.dirname, '../../../shared/data');
    const file = join(data, 'series/isp/it_uk_5m.csv');
    if (!existsSync(file)) {
      context.skip('the development data is not here (set TIDEGATE_DATA)');
      return;
    }
    const result = await simulate(readSeries(file, { valueColumn: 'bits' }), assumptionsSchema.parse({}));
    const tidegate = at(result, 'tidegate');
    const reactive = at(result, 'reactive-50/35');
    expect(tidegate.ratioToOracle).toBeLessThanOrEqual(1.02);
    expect(tidegate.computeRatioToOracle).toBeLessThanOrEqual(1.25);
    expect(tidegate.violationPercent).toBeLessThanOrEqual(0.1);
    expect(tidegate.totalCostUsd).toBeLessThan(reactive.totalCostUsd);
    expect(tidegate.violationMinutes).toBeLessThan(reactive.violationMinutes);
  });
});

describe('a series file', () => {
  it('is put in order and on its grid, gaps filled and counted', () => {
    const text =
      'time,a,b\n2026-01-01 00:10:00,3,x\n2026-01-01 00:00:00,1,x\n2026-01-01 00:05:00,2,x\n2026-01-01 00:20:00,5,x\n';
    const series = parseSeries(text, 'f');
    expect([...series.values]).toEqual([1, 2, 3, 4, 5]);
    expect(series).toMatchObject({
      startMs: Date.UTC(2026, 0, 1),
      stepMs: 300_000,
      filledSteps: 1,
      valueColumn: 'a',
    });
  });

  it.each([
    ['1700000000', 1_700_000_000_000],
    ['1700000000000', 1_700_000_000_000],
    ['300', 300_000],
    ['2004-11-19 09:30:00', Date.UTC(2004, 10, 19, 9, 30)],
    ['2004-11-19T09:30:00+01:00', Date.UTC(2004, 10, 19, 8, 30)],
  ])('reads the time %s', (text, ms) => expect(parseTimestampMs(text)).toBe(ms));

  it.each([
    ['a column that is not there', 't,v\n0,1\n300,2', { valueColumn: 'w' }, 'TG_PLAN_SERIES_COLUMN'],
    ['a word', 't,v\n0,1\n300,two', {}, 'TG_PLAN_SERIES_VALUE'],
    ['a negative demand', 't,v\n0,1\n300,-2', {}, 'TG_PLAN_SERIES_VALUE'],
    ['a time that is none', 't,v\nnoon,1\n300,2', {}, 'TG_PLAN_SERIES_VALUE'],
    ['an empty file', '', {}, 'TG_PLAN_SERIES_EMPTY'],
  ])('refuses %s', (_, text, columns, code) => {
    expect(() => parseSeries(text, 'f', columns)).toThrowError(expect.objectContaining({ code }));
  });

  it('refuses to simulate on too little or on nothing', async () => {
    const short = syntheticSeries(3);
    await expect(simulate(short, assumptionsSchema.parse({}))).rejects.toMatchObject({
      code: 'TG_PLAN_SERIES_SHORT',
    });
    const silent = { ...syntheticSeries(10), values: new Float64Array(10 * DAY) };
    await expect(simulate(silent, assumptionsSchema.parse({}))).rejects.toMatchObject({
      code: 'TG_PLAN_SERIES_SILENT',
    });
  });
});
