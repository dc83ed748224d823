import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { solveCholesky } from '../../src/forecast/cholesky.js';
import { FORECASTERS, type ForecastRequest, forecastSeries } from '../../src/forecast/index.js';

const NOW = Date.UTC(2026, 10, 24);
const request = (
  values: readonly number[] | Float64Array,
  more: Partial<ForecastRequest> = {},
): ForecastRequest => ({
  seriesId: 'gateway/1/bandwidthOutBps',
  signal: 'bandwidthOutBps',
  history: { startMs: NOW - values.length * 1000, stepMs: 1000, values: Float64Array.from(values) },
  horizonSteps: 24,
  seasonSteps: [24],
  quantiles: [0.5, 0.9, 0.95, 0.99, 0.995],
  ...more,
});
/** A deterministic pseudo-random walk around a season. */
const seasonal = (length: number, noise: number): Float64Array => {
  let state = 42;
  return Float64Array.from({ length }, (_, i) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return 100 + 50 * Math.sin((i / 24) * 2 * Math.PI) + noise * (state / 2 ** 31 - 0.5);
  });
};

describe('the ensemble', () => {
  test('continues a clean season almost exactly', () => {
    const values = seasonal(240, 0);
    const truth = seasonal(264, 0).subarray(240);
    const forecast = forecastSeries(request(values), NOW);
    expect(forecast.status).toBe('ok');
    for (const [i, value] of forecast.median.entries()) expect(value).toBeCloseTo(truth[i]!, 0);
    expect(forecast.startMs).toBe(NOW);
  });

  test('uses the past only: what comes after the history cannot change it', () => {
    const long = seasonal(300, 30);
    const a = forecastSeries(request(long.slice(0, 240)), NOW);
    const changed = Float64Array.from(long, (value, i) => (i < 240 ? value : -value));
    const b = forecastSeries(request(changed.slice(0, 240)), NOW);
    expect(b).toEqual(a);
  });

  test('is not worse than seasonal naive where naive is right, and much better where it is not', () => {
    const level = Float64Array.from({ length: 240 }, (_, i) => 1000 + ((i * 7919) % 97));
    expect(forecastSeries(request(level), NOW).relativeToSeasonalNaive).toBeLessThan(0.95);
    expect(forecastSeries(request(seasonal(240, 5)), NOW).relativeToSeasonalNaive).toBeLessThan(1.05);
  });

  test('Prophet runs beside the others and can be chosen alone', () => {
    const alone = forecastSeries(request(seasonal(120, 3), { models: ['prophet'] }), NOW);
    expect(alone.failures).toEqual([]);
    expect(alone.mix.map((entry) => entry.model)).toEqual(['prophet']);
    const truth = seasonal(144, 0).subarray(120);
    const error = alone.median.reduce((sum, value, i) => sum + Math.abs(value - truth[i]!), 0) / 24;
    expect(error).toBeLessThan(10);
    const together = forecastSeries(request(seasonal(120, 3)), NOW);
    expect(together.mix.map((entry) => entry.model)).toContain('prophet');
    expect(together.mix.map((entry) => entry.model)).toContain('seasonalNaive');
  });

  test('quantiles never cross, and loads are never negative, whatever the history', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { minLength: 1, maxLength: 80 }),
        fc.integer({ min: 1, max: 30 }),
        (values, horizonSteps) => {
          const forecast = forecastSeries(request(values, { horizonSteps, seasonSteps: [12] }), NOW);
          if (forecast.status === 'refused') return values.length < 4;
          let previous: Float64Array = new Float64Array(horizonSteps);
          for (const { values: path } of forecast.quantiles) {
            for (const [i, value] of path.entries()) {
              if (!Number.isFinite(value) || value < previous[i]!) return false;
            }
            previous = path;
          }
          return (
            forecast.median.length === horizonSteps &&
            forecast.median.every((v) => Number.isFinite(v) && v >= 0)
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([
    ['nothing', [], 'TG_FORECAST_EMPTY'],
    ['only gaps', [Number.NaN, Number.NaN], 'TG_FORECAST_EMPTY'],
    ['one point', [5], 'TG_FORECAST_SHORT'],
    ['infinity', [1, 2, Number.POSITIVE_INFINITY, 4, 5], 'TG_FORECAST_VALUES'],
  ])('%s is refused by name', (_name, values, code) => {
    const forecast = forecastSeries(request(values), NOW);
    expect(forecast).toMatchObject({ status: 'refused', refusal: { code } });
  });

  test.each([
    ['all zero', Array(100).fill(0)],
    ['constant', Array(100).fill(7)],
    ['huge', Array.from({ length: 100 }, (_, i) => 1e15 + i)],
    ['negative', Array.from({ length: 100 }, (_, i) => -50 + (i % 10))],
    ['with gaps', Array.from({ length: 100 }, (_, i) => (i % 7 === 3 ? Number.NaN : i % 24))],
  ])('%s has an answer', (_name, values) => {
    const forecast = forecastSeries(request(values), NOW);
    expect(forecast.status).not.toBe('refused');
    expect(forecast.median.every(Number.isFinite)).toBe(true);
    const last = values.filter((v) => !Number.isNaN(v));
    const [low, high] = [Math.min(...last), Math.max(...last)];
    const margin = Math.max(1, 0.5 * (high - low));
    for (const value of forecast.median) {
      expect(value).toBeGreaterThanOrEqual(low - margin);
      expect(value).toBeLessThanOrEqual(high + margin);
    }
  });

  test('an unknown model is named as a failure and does not stop the others', () => {
    const forecast = forecastSeries(
      request(seasonal(100, 1), { models: ['crystalBall', 'seasonalNaive'] }),
      NOW,
    );
    expect(forecast.failures).toEqual([{ model: 'crystalBall', reason: 'there is no such model' }]);
    expect(forecast.mix.map((entry) => entry.model)).toEqual(['seasonalNaive']);
  });
});

test('every member answers with the horizon or says that it needs more', () => {
  for (const [name, forecaster] of FORECASTERS) {
    for (const length of [4, 30, 100]) {
      const context = { stepMs: 1000, startMs: NOW, seasonSteps: length >= 24 ? [24] : [] };
      const path = forecaster.forecast(seasonal(length, 2), 10, context);
      if (path !== undefined) expect(path, `${name} at ${length}`).toHaveLength(10);
    }
  }
});

test('Cholesky solves what it claims to solve', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 }), {
        minLength: 4,
        maxLength: 4,
      }),
      fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 4, maxLength: 4 }),
      (m, x) => {
        // A = M Mᵀ + I is symmetric positive definite; b = A x has the known solution x.
        const a = new Float64Array(16);
        for (let i = 0; i < 4; i += 1)
          for (let j = 0; j < 4; j += 1) {
            a[i * 4 + j] = (i === j ? 1 : 0) + m[i]!.reduce((sum, v, k) => sum + v * m[j]![k]!, 0);
          }
        const b = Float64Array.from({ length: 4 }, (_, i) =>
          x.reduce((sum, v, j) => sum + a[i * 4 + j]! * v, 0),
        );
        const solved = solveCholesky(a, b)!;
        for (let i = 0; i < 4; i += 1) expect(solved[i]).toBeCloseTo(x[i]!, 6);
      },
    ),
  );
});
