import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { solveCholesky } from '../../src/forecast/cholesky.js';
import {
  type BucketRecord,
  EXTRA_FORECASTERS,
  type Forecast,
  type ForecastRequest,
  forecastSeries,
} from '../../src/forecast/index.js';

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
    expect(forecast.status).toBe('learning');
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

  test('Prophet can be chosen alone, or beside the recipe', () => {
    const alone = forecastSeries(request(seasonal(120, 3), { models: ['prophet'] }), NOW);
    expect(alone.failures).toEqual([]);
    expect(alone.mix.map((entry) => entry.model)).toEqual(['prophet']);
    const truth = seasonal(144, 0).subarray(120);
    const error = alone.median.reduce((sum, value, i) => sum + Math.abs(value - truth[i]!), 0) / 24;
    expect(error).toBeLessThan(10);
    const together = forecastSeries(request(seasonal(120, 3), { models: ['recipe', 'prophet'] }), NOW);
    const models = together.mix.map((entry) => entry.model);
    expect(models).toContain('prophet');
    expect(models).toContain('arAl');
    expect(together.mix.reduce((sum, entry) => sum + entry.weight, 0)).toBeCloseTo(1, 9);
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
    const forecast = forecastSeries(request(seasonal(100, 1), { models: ['crystalBall', 'snd'] }), NOW);
    expect(forecast.failures).toEqual([{ model: 'crystalBall', reason: 'there is no such model' }]);
    expect(forecast.mix.map((entry) => entry.model)).toEqual(['snd']);
  });
});

/** What a gateway keeps between two forecasts. */
function remember(forecast: Forecast, known: Map<string, BucketRecord[]> = new Map()) {
  for (const { bucket, record } of forecast.realised) {
    const all = [...(known.get(bucket) ?? []), record];
    known.set(
      bucket,
      all.sort((a, b) => b.origin - a.origin),
    );
  }
  return known;
}

test('a series that begins in silence does not get bands of another world', () => {
  const values = Float64Array.from({ length: 60 }, (_, i) => (i < 20 ? 0 : 2e6 + 1e5 * Math.sin(i)));
  const { quantiles } = forecastSeries(request(values, { horizonSteps: 10, seasonSteps: [15] }), NOW);
  for (const { values: path } of quantiles) for (const value of path) expect(value).toBeLessThan(4e7);
});

describe('the record of realised errors', () => {
  const long = seasonal(24 * 40, 30);
  const upTo = (steps: number, more: Partial<ForecastRequest> = {}): Forecast =>
    forecastSeries(
      {
        ...request([]),
        history: { startMs: NOW, stepMs: 1000, values: long.subarray(0, steps) },
        ...more,
      },
      NOW,
    );

  test('makes a series of 21 seasons mature, and says how good it has been', () => {
    const young = upTo(24 * 15);
    expect(young.status).toBe('learning');
    const old = upTo(24 * 40);
    expect(old.status).toBe('ok');
    expect(old.relativeToSeasonalNaive).toBeLessThan(0.9);
    expect(old.coverage.p90).toBeGreaterThan(0.85);
    expect(old.coverage.p90).toBeLessThan(0.96);
  });

  test('completed step by step gives the same forecast as made up for at once', () => {
    const known = new Map<string, BucketRecord[]>();
    for (let steps = 24 * 38; steps < 24 * 40; steps += 6) remember(upTo(steps, { record: known }), known);
    const followed = upTo(24 * 40, { record: known });
    const atOnce = upTo(24 * 40);
    // Only the newest parts were still missing.
    expect(followed.realised.length).toBeLessThanOrEqual(3);
    expect(followed.median).toEqual(atOnce.median);
    const weights = (f: Forecast) => new Map(f.mix.map(({ model, weight }) => [model, weight]));
    expect(weights(followed)).toEqual(weights(atOnce));
  });

  test('is not made up for beyond the limit, newest first', () => {
    const first = upTo(24 * 40, { catchUpOrigins: 3 });
    const origins = new Set(first.realised.map(({ record }) => record.origin));
    expect(origins.size).toBe(3);
    expect(Math.max(...origins)).toBeGreaterThanOrEqual(NOW + (24 * 40 - 12) * 1000);
    const second = upTo(24 * 40, { catchUpOrigins: 3, record: remember(first) });
    expect(second.realised.every(({ record }) => record.origin <= Math.max(...origins))).toBe(true);
    expect(upTo(24 * 40, { catchUpOrigins: 0 }).realised).toEqual([]);
  });

  test('decides who forecasts: members that erred are left out', () => {
    const { realised } = upTo(24 * 40);
    const record = new Map<string, BucketRecord[]>();
    for (const { bucket, record: entry } of realised) {
      const errors = entry.members.map((model) => (model === 'l1h' ? 0 : 100));
      record.set(bucket, [{ ...entry, errors }, ...(record.get(bucket) ?? [])]);
    }
    const { mix } = upTo(24 * 40, { record, catchUpOrigins: 0 });
    expect(mix.find((entry) => entry.model === 'l1h')?.weight).toBeGreaterThan(0.1);
  });
});

test('every member answers with the horizon or says that it needs more', () => {
  for (const [name, forecaster] of EXTRA_FORECASTERS) {
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

test('a young series that began with next to nothing gets no band beyond twice what was ever seen', () => {
  for (const seen of [20, 45, 70, 110]) {
    const values = Float64Array.from({ length: seen }, (_, i) =>
      i < 12 ? 0.001 * (i % 3) : 4e6 + 2e6 * Math.sin(i / 5) + 1e5 * ((i * 7919) % 13),
    );
    const young = forecastSeries(request(values, { horizonSteps: 60, seasonSteps: [60] }), NOW);
    const highest = Math.max(...values);
    for (const { q, values: path } of young.quantiles)
      expect(Math.max(...path), `${seen} steps, level ${q}`).toBeLessThanOrEqual(2 * highest + 1);
  }
});

test('a member that crashes is left out, named, and replaced by the others', () => {
  const prophet = EXTRA_FORECASTERS.get('prophet')!;
  const crash = vi.spyOn(prophet, 'forecast').mockImplementation(() => {
    throw new Error('unreachable');
  });
  try {
    const together = forecastSeries(request(seasonal(120, 3), { models: ['recipe', 'prophet'] }), NOW);
    expect(together.failures).toEqual([{ model: 'prophet', reason: 'unreachable' }]);
    expect(together.status).not.toBe('refused');
    expect(together.mix.map((entry) => entry.model)).not.toContain('prophet');
    const alone = forecastSeries(request(seasonal(120, 3), { models: ['prophet'] }), NOW);
    expect(alone.failures).toHaveLength(1);
    expect(alone.mix.map((entry) => entry.model)).toEqual(['snd']);
    expect(alone.median.every(Number.isFinite)).toBe(true);
  } finally {
    crash.mockRestore();
  }
});
