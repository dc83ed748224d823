import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backtestSeries } from '../../src/forecast/backtest.js';
import { fillFromPast } from '../../src/forecast/prepare.js';
import { coarsen, parseSeries } from '../../src/forecast/read-series.js';
import { iteratedAr } from '../../src/forecast/recipe/ar.js';
import { bucketEnds } from '../../src/forecast/recipe/combine.js';
import { forecastM4, m4Errors, owa } from '../../src/forecast/recipe/m4.js';
import { memberPaths } from '../../src/forecast/recipe/members.js';
import { rollForward } from '../../src/forecast/recipe/rolling.js';

const data = process.env.TIDEGATE_DATA ?? join(import.meta.dirname, '../../../shared/data');
const m4 = join(data, 'series/m4');

/** Deterministic noise in [-1, 1). */
const noise = (i: number): number => ((i * 2654435761) >>> 0) / 2 ** 31 - 1;
const daily = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => 100 + 40 * Math.sin((2 * Math.PI * i) / 24) + 8 * noise(i));

const HOURLY = { season: 24, horizon: 24, startMs: 0, stepMs: 3_600_000 };

describe('backtest', () => {
  it('beats repeating the day where the day repeats with noise', () => {
    const score = backtestSeries(daily(24 * 40), HOURLY);
    expect(score.relativeToSeasonalNaive).toBeLessThan(0.85);
    expect(score.coverage.p90).toBeGreaterThan(0.85);
    expect(score.coverage.p90).toBeLessThan(0.97);
    expect(score.status).toBe('ok');
  });

  it('never looks at or beyond an origin: another future gives the same forecasts and bands', () => {
    const one = daily(24 * 20);
    const other = one.map((value, i) => (i >= 24 * 15 ? 3 * value + 1000 : value));
    const options = { day: 24, horizon: 24, first: 24 * 7, stride: 6, quantiles: [0.5, 0.9, 0.99] };
    const upTo = (y: Float64Array) => [...rollForward(y, y, options)].filter((f) => f.origin <= 24 * 15);
    expect(upTo(other)).toEqual(upTo(one));
  });

  it('fills a gap from its past only', () => {
    const filled = fillFromPast(Float64Array.of(1, 2, 3, Number.NaN, 5, Number.NaN), 3);
    expect([...filled]).toEqual([1, 2, 3, 1, 5, 3]);
  });

  it.each([
    ['all zero', new Float64Array(800)],
    ['constant', new Float64Array(800).fill(5)],
    ['1e15', daily(800).map((v) => v * 1e13)],
    ['negative', daily(800).map((v) => -v)],
    ['half missing', daily(800).map((v, i) => (i % 2 ? v : Number.NaN))],
  ])('scores a series that is %s with finite figures', (_name, series) => {
    const score = backtestSeries(series, HOURLY);
    expect(score.status).not.toBe('refused');
    for (const value of [score.mase, score.smape, score.relativeToSeasonalNaive])
      expect(value === null || Number.isFinite(value)).toBe(true);
  });

  it('refuses by name what is too short or beyond 1e18', () => {
    expect(backtestSeries(Float64Array.of(1), HOURLY).refusal).toMatch(/too few/);
    expect(backtestSeries(new Float64Array(800).fill(1e300), HOURLY).refusal).toMatch(/1e18/);
  });

  it('gives ordered, finite, non-negative bands on any series', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { minLength: 80, maxLength: 140 }),
        (values) => {
          const y = Float64Array.from(values);
          const options = { day: 12, horizon: 12, first: 36, stride: 6, quantiles: [0.5, 0.9, 0.99] };
          for (const f of rollForward(y, y, options)) {
            for (let i = 0; i < 12; i += 1) {
              const at = f.quantiles.map((path) => path[i]!);
              expect(at.every((v) => Number.isFinite(v) && v >= 0)).toBe(true);
              expect(at[0]! <= at[1]! && at[1]! <= at[2]!).toBe(true);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('members', () => {
  it('continue a noiseless autoregression exactly enough', () => {
    const wave = Float64Array.from({ length: 600 }, (_, i) => 50 + 10 * Math.sin((2 * Math.PI * i) / 24));
    const path = iteratedAr(wave, 24, { lags: [1, 2, 3, 24], difference: 0, lambda: 1e-6, log: false });
    for (let i = 0; i < 24; i += 1)
      expect(path?.[i]).toBeCloseTo(50 + 10 * Math.sin((2 * Math.PI * (600 + i)) / 24), 1);
  });

  it('are all there on four weeks of 5-minute values, fewer on a short history', () => {
    const fine = Float64Array.from({ length: 28 * 288 }, (_, i) => 100 + 40 * Math.sin(i / 45) + noise(i));
    expect(memberPaths(fine, 288, 288).size).toBe(16);
    expect(memberPaths(fine.subarray(0, 300), 288, 288).has('snd')).toBe(true);
    expect(memberPaths(fine.subarray(0, 20), 60, 60).has('l1h')).toBe(true);
  });

  it('are judged apart in the first hour, the first quarter of the day and the rest', () => {
    expect(bucketEnds(288, 288)).toEqual([12, 72, 288]);
    expect(bucketEnds(24, 24)).toEqual([1, 6, 24]);
    expect(bucketEnds(24, 3)).toEqual([1, 3]);
  });
});

describe('reading a series', () => {
  it('sorts, keeps the last of duplicates, leaves gaps open', () => {
    const text =
      'when,load\n2024-01-01 02:00:00,3\n2024-01-01 00:00:00,1\n2024-01-01 01:00:00,2\n2024-01-01 01:00:00,7\n2024-01-01 04:00:00,5\n';
    const series = parseSeries(text, 'x.csv', 'when', 'load');
    expect(series.stepMs).toBe(3_600_000);
    expect([...series.observed]).toEqual([1, 7, 3, Number.NaN, 5]);
  });

  it('averages what was observed to longer steps', () => {
    const fine = Float64Array.of(1, 3, Number.NaN, 4, Number.NaN, Number.NaN, 9);
    expect([...coarsen(fine, 2)]).toEqual([2, 4, Number.NaN]);
  });

  it('names the columns that a file has', () => {
    expect(() => parseSeries('a,b\n1,2\n2,3\n', 'x.csv', 'a', 'c')).toThrow(/no column "c"/);
  });
});

describe('M4 metrics', () => {
  it("are the competition's: its published seasonal naive gives its published OWA", () => {
    // Published figures are rounded to three digits.
    expect(Math.abs(owa(13.912, 1.193) - 0.628)).toBeLessThan(0.001);
    expect(owa(18.383, 2.395)).toBe(1);
    const errors = m4Errors(daily(240), Float64Array.of(2, 0), Float64Array.of(1, 0));
    expect(errors.smape).toBeCloseTo(100 / 3, 9);
  });

  const present = existsSync(join(m4, 'Hourly-train-odd.csv'));
  it.skipIf(!present)(
    present
      ? 'hourly series with an odd number: OWA at most 0.41'
      : 'hourly OWA (skipped: M4 files are not under ../shared/data or TIDEGATE_DATA)',
    () => {
      const rows = (file: string): [string, Float64Array][] =>
        readFileSync(join(m4, file), 'utf8')
          .trim()
          .split('\n')
          .slice(1)
          .map((line) => {
            const [name, ...values] = line.trim().replaceAll('"', '').split(',');
            return [name!, Float64Array.from(values.filter((v) => v !== '' && v !== 'NA').map(Number))];
          });
      const actuals = new Map(rows('Hourly-test-odd.csv'));
      const scores = rows('Hourly-train-odd.csv').map(([name, history]) =>
        m4Errors(history, actuals.get(name)!, forecastM4(history, 48)),
      );
      const mean = (pick: (s: { smape: number; mase: number }) => number): number =>
        scores.reduce((sum, s) => sum + pick(s), 0) / scores.length;
      expect(
        owa(
          mean((s) => s.smape),
          mean((s) => s.mase),
        ),
      ).toBeLessThanOrEqual(0.41);
    },
  );
});
