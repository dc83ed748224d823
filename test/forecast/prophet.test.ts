import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXTRA_FORECASTERS } from '../../src/forecast/index.js';
import { type ProphetFrame, prophetForecast } from '../../src/forecast/members/prophet-model.js';

const DATA = join(
  process.env.TIDEGATE_DATA ?? resolve(import.meta.dirname, '../../../shared/data'),
  'series/prophet',
);
const missing = existsSync(DATA)
  ? undefined
  : "Prophet's series are not under ../shared/data or TIDEGATE_DATA";

/** Columns `ds,y` of one of Prophet's own files, in order of time. */
function read(file: string): { seconds: number[]; y: number[] } {
  const rows = readFileSync(join(DATA, file), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.replaceAll('"', '').split(','))
    .map(([ds = '', y = '']) => ({
      seconds: Date.parse(`${ds.slice(0, 10)}T00:00:00Z`) / 1000,
      y: Number(y),
    }))
    .sort((a, b) => a.seconds - b.seconds);
  return { seconds: rows.map((row) => row.seconds), y: rows.map((row) => row.y) };
}

const rmse = (a: ArrayLike<number>, b: readonly number[]): number =>
  Math.sqrt(b.reduce((sum, value, i) => sum + (value - a[i]!) ** 2, 0) / b.length);

describe.skipIf(missing !== undefined)(
  `Prophet's own published test figures${missing ? ` (${missing})` : ''}`,
  () => {
    /** As python/prophet/tests/test_prophet.py: fit all but the last `days`, predict those. */
    const lastDays = (file: string, days: number, scaling: 'absMax' | 'minMax'): number => {
      const { seconds, y } = read(file);
      const cut = seconds.length - days;
      const { point } = prophetForecast(
        { seconds: seconds.slice(0, cut) },
        y.slice(0, cut),
        { seconds: seconds.slice(cut) },
        { scaling },
      );
      return rmse(point, y.slice(cut));
    };

    test.each([
      ['absMax', 10.64],
      ['minMax', 11.13],
    ] as const)('daily univariate series, %s: RMSE %f ± 10 %%', (scaling, published) => {
      const found = lastDays('python_prophet_tests_data.csv', 30, scaling);
      expect(found).toBeGreaterThan(published * 0.9);
      expect(found).toBeLessThan(published * 1.1);
    });

    test('Peyton Manning, as the quick start prints it, ± 0.02', () => {
      const { seconds, y } = read('examples_example_wp_log_peyton_manning.csv');
      const days = [15, 16, 17, 18, 19].map((day) => Date.UTC(2017, 0, day) / 1000);
      const { point, lower, upper } = prophetForecast(
        { seconds },
        y,
        { seconds: days },
        {
          intervalWidth: 0.8,
          uncertaintySamples: 300,
        },
      );
      const published = [8.2126, 8.5376, 8.3251, 8.1577, 8.1697];
      for (const [i, value] of published.entries()) {
        expect(Math.abs(point[i]! - value), `day ${i}`).toBeLessThanOrEqual(0.02);
        expect(lower![i]).toBeLessThan(point[i]!);
        expect(upper![i]).toBeGreaterThan(point[i]!);
      }
    });
  },
);

describe('Prophet with all that it can be told', () => {
  const HOUR = 3600;
  const N = 24 * 28;
  const DAY = 24 * HOUR;
  const start = Date.UTC(2026, 0, 5) / 1000;
  let state = 7;
  const noise = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const seconds = Array.from({ length: N + 24 }, (_, i) => start + i * HOUR);
  const x = seconds.map(() => 10 * noise());
  /** A window of four hours every Sunday in which the load falls by 60. */
  const spans = [6, 13, 20, 27, 28].map((day) => ({
    startSeconds: start + day * DAY + 8 * HOUR,
    endSeconds: start + day * DAY + 12 * HOUR,
  }));
  const inEvent = (s: number): boolean => spans.some((w) => s >= w.startSeconds && s <= w.endSeconds);
  const truth = seconds.map(
    (s, i) => 100 + 20 * Math.sin((2 * Math.PI * s) / DAY) + 3 * x[i]! - (inEvent(s) ? 60 : 0) + noise(),
  );
  const part = (from: number, to: number): ProphetFrame => ({
    seconds: seconds.slice(from, to),
    regressors: { x: x.slice(from, to) },
  });
  const base = { daily: 6, weekly: 'off', yearly: 'off', scaling: 'minMax' } as const;
  const error = (point: Float64Array): number =>
    point.reduce((sum, value, i) => sum + Math.abs(value - truth[N + i]!), 0) / point.length;

  test('each of regressor and holiday takes away its part of the error', () => {
    const y = truth.slice(0, N);
    const plain = prophetForecast({ seconds: seconds.slice(0, N) }, y, { seconds: seconds.slice(N) }, base);
    const regressed = prophetForecast(part(0, N), y, part(N, N + 24), {
      ...base,
      regressors: [{ name: 'x' }],
    });
    const both = prophetForecast(part(0, N), y, part(N, N + 24), {
      ...base,
      regressors: [{ name: 'x' }],
      events: [{ name: 'maintenance', spans }],
    });
    expect(error(regressed.point)).toBeLessThan(0.7 * error(plain.point));
    expect(error(both.point)).toBeLessThan(0.4 * error(regressed.point));
    expect(error(both.point)).toBeLessThan(3);
  });

  test('logistic growth stays under its cap where linear growth goes beyond', () => {
    const days = Array.from({ length: 120 }, (_, i) => start + i * DAY);
    const y = days.slice(0, 90).map((_, i) => 100 / (1 + Math.exp(-(i - 60) / 10)) + 0.2 * noise());
    const cap = (n: number): number[] => new Array<number>(n).fill(100);
    const options = { weekly: 2, yearly: 'off', daily: 'off', scaling: 'minMax' } as const;
    const future = days.slice(90);
    const linear = prophetForecast({ seconds: days.slice(0, 90) }, y, { seconds: future }, options);
    const logistic = prophetForecast(
      { seconds: days.slice(0, 90), cap: cap(90) },
      y,
      { seconds: future, cap: cap(30) },
      { ...options, growth: 'logistic' },
    );
    expect(linear.point.at(-1)).toBeGreaterThan(110);
    expect(Math.max(...logistic.point)).toBeLessThan(103);
    expect(logistic.point.at(-1)).toBeGreaterThan(90);
  });

  test('a season that holds under a condition only', () => {
    const weekend = seconds.map((s) => [0, 6].includes(new Date(s * 1000).getUTCDay()));
    const y = seconds.map((s, i) => 50 + (weekend[i] ? 30 * Math.sin((2 * Math.PI * s) / DAY) : 0) + noise());
    const seasonalities = [{ name: 'weekend', periodDays: 1, fourierOrder: 3, condition: 'weekend' }];
    const cut = N - 24;
    const frame = (from: number, to: number): ProphetFrame => ({
      seconds: seconds.slice(from, to),
      conditions: { weekend: weekend.slice(from, to) },
    });
    const { point } = prophetForecast(frame(0, cut), y.slice(0, cut), frame(cut, N), {
      ...base,
      daily: 'off',
      seasonalities,
    });
    const off = point.reduce((sum, value, i) => sum + Math.abs(value - y[cut + i]!), 0) / point.length;
    expect(off).toBeLessThan(5);
  });
});

describe('the members of other libraries', () => {
  const season = 24;
  const context = { stepMs: 3_600_000, startMs: Date.UTC(2026, 0, 1), seasonSteps: [season] };
  const value = (i: number): number => 100 + 30 * Math.sin((2 * Math.PI * i) / season) + 0.1 * i;
  const history = Float64Array.from({ length: 24 * 20 }, (_, i) => value(i) + Math.sin(i * 12.9898) * 2);

  test.each(['mstlEts', 'arima', 'prophet'])(
    '%s continues trend and season, and gives up what it cannot',
    (name) => {
      const member = EXTRA_FORECASTERS.get(name)!;
      const path = member.forecast(history, 48, context)!;
      expect(path).toHaveLength(48);
      const off = path.reduce((sum, v, k) => sum + Math.abs(v - value(history.length + k)), 0) / 48;
      expect(off).toBeLessThan(5);
      // The same input gives the same answer.
      expect(member.forecast(history, 48, context)).toEqual(path);
      expect(member.forecast(history.subarray(0, 5), 48, context)).toBeUndefined();
    },
  );
});
