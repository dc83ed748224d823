import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Forecast } from '../../src/forecast/index.js';
import { cpuForecast, memoryForecast, onAxis } from '../../src/pipeline/resource-forecasts.js';

const LEVELS = [0.5, 0.9, 0.99];
const COEFFICIENTS = { cpuCoresPerGbps: 2, memoryGiBPerGbps: 4 };

const forecast = (signal: Forecast['signal'], median: readonly number[]): Forecast => ({
  seriesId: `g/7/${signal}`,
  signal,
  createdMs: 0,
  startMs: 0,
  stepMs: 1000,
  median: Float64Array.from(median),
  quantiles: LEVELS.map((q) => ({ q, values: Float64Array.from(median, (v) => v * (0.5 + q)) })),
  mix: [],
  historySteps: 10,
  relativeToSeasonalNaive: 0.7,
  coverage: { p90: 0.9, p99: 0.99 },
  status: 'ok',
  failures: [],
  notes: [],
  realised: [],
});

test('CPU told by bandwidth is the model at each level, of the busier direction', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.double({ min: 0, max: 1e10, noNaN: true }),
          fc.double({ min: 0, max: 1e10, noNaN: true }),
        ),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
      fc.double({ min: -1, max: 1, noNaN: true }),
      (rates, intercept) => {
        const traffic = {
          out: forecast(
            'bandwidthOutBps',
            rates.map(([out]) => out),
          ),
          inbound: forecast(
            'bandwidthInBps',
            rates.map(([, inbound]) => inbound),
          ),
          flows: forecast(
            'flowsPerSecond',
            rates.map(() => 10),
          ),
        };
        const model = { kind: 'follows-bandwidth', intercept, perBps: 3e-9, perFlow: 0.01, r2: 0.8 } as const;
        const cpu = cpuForecast(model, traffic, undefined, COEFFICIENTS);
        expect(cpu).toMatchObject({ seriesId: 'g/7/cpuCores', signal: 'cpuCores', status: 'ok' });
        expect(cpu.mix[0]!.model).toContain('R² 0.80');
        for (const [t, [out, inbound]] of rates.entries()) {
          const at = (factor: number): number =>
            Math.max(0, intercept + 3e-9 * Math.max(out, inbound) * factor + 0.01 * 10 * factor);
          expect(cpu.median[t]).toBeCloseTo(at(1), 6);
          for (const { q, values } of cpu.quantiles) expect(values[t]).toBeCloseTo(at(0.5 + q), 6);
        }
      },
    ),
  );
});

test('what does not follow bandwidth is its own forecast; without telemetry coefficients are used, and said', () => {
  const traffic = { out: forecast('bandwidthOutBps', [1e9, 2e9]), inbound: undefined, flows: undefined };
  const own = forecast('cpuCores', [3, 4]);
  expect(cpuForecast({ kind: 'own-forecast', r2: 0.1 }, traffic, own, COEFFICIENTS)).toBe(own);
  const configured = cpuForecast({ kind: 'configured' }, traffic, undefined, COEFFICIENTS);
  expect([...configured.median]).toEqual([2, 4]);
  expect(configured.mix).toEqual([{ model: 'configured coefficient', weight: 1, error: null }]);
  expect(configured.coverage).toEqual({ p90: null, p99: null });
  const memory = memoryForecast(
    { kind: 'windowed-maximum', bytes: 1150, headroom: 0.15 },
    traffic,
    COEFFICIENTS,
  );
  expect(memory.median[0]).toBeCloseTo(1000, 9);
  expect(memory.quantiles.map(({ values }) => Math.round(values[1]!))).toEqual([1000, 1150, 1150]);
});

test('a series on another axis is cut and padded with what is not known', () => {
  const series = { startMs: 2000, stepMs: 1000, values: Float64Array.of(1, 2, 3) };
  const axis = { startMs: 1000, stepMs: 1000, values: new Float64Array(5) };
  expect([...onAxis(series, axis)]).toEqual([Number.NaN, 1, 2, 3, Number.NaN]);
});
