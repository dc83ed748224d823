import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { cycleSettings } from '../../src/config/parts.js';
import { gatewayConfig } from '../../src/config/schema.js';
import {
  type ForecastRequest,
  forecastSeries,
  occurrences,
  regressorValues,
} from '../../src/forecast/index.js';

const HOUR_MS = 3_600_000;
const DAY = 24;
const START = Date.UTC(2026, 0, 5);
const N = DAY * 28;
const instance: Parameters<typeof cycleSettings>[1] = {
  instanceId: 'any',
  description: 'any',
  source: 'none',
  date: '2026-01-01',
  currency: 'USD',
  cpuCores: 2,
  memoryGiB: 8,
  usdPerHour: 0.1,
};

const settingsOf = (text: string) => {
  const path = join(mkdtempSync(join(tmpdir(), 'tidegate-forecast-')), 'gateway.yaml');
  writeFileSync(path, text);
  return cycleSettings(loadConfig(gatewayConfig, { file: path }).config, instance);
};

/** What a cycle asks for with these settings. */
const forecastWith = (settings: ReturnType<typeof settingsOf>, values: Float64Array) => {
  const known = regressorValues(settings.regressors, START, HOUR_MS, N + DAY);
  const request: ForecastRequest = {
    seriesId: 'g/1/bandwidthOutBps',
    signal: 'bandwidthOutBps',
    history: { startMs: START, stepMs: HOUR_MS, values },
    horizonSteps: DAY,
    seasonSteps: [DAY],
    quantiles: settings.quantiles,
    events: occurrences(settings.calendar, START, START + (N + DAY) * HOUR_MS),
    catchUpOrigins: 0,
    ...(settings.models ? { models: settings.models } : {}),
    ...(settings.prophet ? { prophet: settings.prophet } : {}),
    ...(known ? { regressors: known } : {}),
  };
  return forecastSeries(request, START);
};

const noise = (i: number): number => (Math.imul(i + 1, 2654435761) >>> 0) / 2 ** 31 - 1;
const usual = (i: number): number => 100 + 20 * Math.sin((2 * Math.PI * i) / DAY) + noise(i * i);
const errorOf = (median: Float64Array, truth: (i: number) => number): number =>
  median.reduce((sum, value, i) => sum + Math.abs(value - truth(N + i)), 0) / DAY;

describe('forecast: in the configuration', () => {
  test('Prophet can be chosen alone', () => {
    const settings = settingsOf('forecast:\n  models: [prophet]\n');
    const { mix, median } = forecastWith(
      settings,
      Float64Array.from({ length: N }, (_, i) => usual(i)),
    );
    expect(mix.map((entry) => entry.model)).toEqual(['prophet']);
    expect(errorOf(median, usual)).toBeLessThan(5);
  });

  test('a known number that Prophet is told takes away its part of the error', () => {
    // A promotion that follows no season: every day of the month whose number is prime.
    const days = [5, 7, 11, 13, 17, 19, 23, 29, 31, 33].map((day) => Date.UTC(2026, 0, day));
    const on = (i: number): boolean =>
      days.some((at) => START + i * HOUR_MS >= at && START + i * HOUR_MS < at + DAY * HOUR_MS);
    const truth = (i: number): number => usual(i) + (on(i) ? 60 : 0);
    const rules = days.map((at) => {
      const [from, until] = [at, at + DAY * HOUR_MS].map((ms) => new Date(ms).toISOString());
      return `    - { name: promotion, from: ${from}, until: ${until}, value: 1 }`;
    });
    const history = Float64Array.from({ length: N }, (_, i) => truth(i));
    const plain = 'forecast:\n  models: [prophet]\n';
    const told = forecastWith(settingsOf(`${plain}  regressors:\n${rules.join('\n')}\n`), history);
    expect(told.failures).toEqual([]);
    expect(errorOf(told.median, truth)).toBeLessThan(
      0.4 * errorOf(forecastWith(settingsOf(plain), history).median, truth),
    );
  });

  test("the calendar's holidays hold for Prophet too", () => {
    const holiday = START + N * HOUR_MS;
    const calendar =
      `  calendar:\n    - { name: holiday, from: ${new Date(holiday).toISOString()}, ` +
      `until: ${new Date(holiday + DAY * HOUR_MS).toISOString()}, multiply: 0.25 }\n`;
    const { median } = forecastWith(
      settingsOf(`forecast:\n  models: [prophet]\n${calendar}`),
      Float64Array.from({ length: N }, (_, i) => usual(i)),
    );
    expect(errorOf(median, (i) => 0.25 * usual(i))).toBeLessThan(3);
  });

  test('logistic growth stays near its cap, and needs one', () => {
    const grow = (i: number): number => 1000 / (1 + Math.exp(-(i - 500) / 60)) + noise(i * i);
    const history = Float64Array.from({ length: N }, (_, i) => grow(i));
    const capped = settingsOf('forecast:\n  models: [prophet]\n  prophet: { growth: logistic, cap: 1000 }\n');
    const { median, failures } = forecastWith(capped, history);
    expect(failures).toEqual([]);
    expect(Math.max(...median)).toBeLessThan(1050);
    expect(Math.min(...median)).toBeGreaterThan(850);
    expect(() => settingsOf('forecast:\n  prophet: { growth: logistic }\n')).toThrow(/needs a cap/);
  });

  test('a wrong model or the wrong section is named, with what was meant', () => {
    expect(() => settingsOf('forecast:\n  models: [prophett]\n')).toThrow(/"prophett" is none of the models/);
    expect(() => settingsOf('cycle:\n  models: [prophet]\n')).toThrow(/did you mean "forecast.models"/);
  });
});
