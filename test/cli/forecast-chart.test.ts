import { expect, test } from 'vitest';
import { renderForecast } from '../../src/cli/commands/forecast.js';
import { drawForecast, squeeze } from '../../src/cli/forecast-chart.js';

test('a chart shows what was, the median and the bands above it, on one scale', () => {
  const lines = drawForecast(
    {
      history: [10, 10, Number.NaN, 10],
      median: [5, 5],
      bands: [
        [8, 8],
        [10, 10],
      ],
    },
    String,
  );
  expect(lines).toHaveLength(10);
  // The top row: the known history and the outer band reach it; nothing is drawn where nothing is known.
  expect(lines[0]).toBe('  10 ██ █│░░');
  expect(lines.at(-1)).toBe('   0 ██ █│');
  expect(lines.filter((line) => line.includes('●'))).toHaveLength(1);
  expect(lines.filter((line) => line.endsWith('▒▒'))).toHaveLength(2);
});

test('a long path is squeezed by means, gaps left out', () => {
  expect(squeeze([1, 3, Number.NaN, 5, Number.NaN, Number.NaN], 3)).toEqual([2, 5, Number.NaN]);
});

test('a forecast says its mix, history, accuracy, coverage and notes; a refusal says why', () => {
  const stored = {
    seriesId: 'g/7/bandwidthOutBps',
    workloadId: 7,
    name: 'backup',
    signal: 'bandwidthOutBps',
    startMs: 0,
    stepMs: 3_600_000,
    median: [1e6, 2e6],
    levels: [0.9, 0.99],
    quantiles: [
      [2e6, 3e6],
      [4e6, 5e6],
    ],
    mix: JSON.stringify([
      { model: 'arAl', weight: 0.75 },
      { model: 'snd', weight: 0.25 },
      { model: 'pw', weight: 0 },
    ]),
    failures: '[{"model":"prophet","reason":"took longer than 30 s"}]',
    historySteps: 100,
    relativeToSeasonalNaive: 0.71,
    coverageP90: 0.905,
    coverageP99: null,
    status: 'learning',
    refusal: '',
    notes: ['season of 24 steps as configured'],
    history: [1e6, 1e6],
    accuracy: [
      { bucket: '0-3600', model: 'ensemble', forecasts: 9, meanAbsoluteError: 1e5 },
      { bucket: '0-3600', model: 'snd', forecasts: 9, meanAbsoluteError: 2e5 },
    ],
  };
  const text = renderForecast(stored);
  for (const part of ['backup (7)', 'learning', 'arAl 75 %, snd 25 %', '100 steps', '0.71 ×', '90.5 %'])
    expect(text).toContain(part);
  expect(text).toContain('0 s to 3600 s ahead: off by');
  expect(text).toContain('season of 24 steps');
  expect(text).toContain('prophet could not be used and is replaced by the others: took longer than 30 s');
  expect(text).not.toContain('pw ');
  const refused = renderForecast({ ...stored, status: 'refused', refusal: 'TG_FORECAST_EMPTY: no value' });
  expect(refused).toContain('refused: TG_FORECAST_EMPTY');
});
