import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ForecastPool, type ForecastRequest } from '../../src/forecast/index.js';

const pool = new ForecastPool({ logger: pino({ level: 'silent' }), workers: 1, timeLimitMs: 20_000 });
beforeAll(() => pool.start());
afterAll(() => pool.stop());

const requestOf = (i: number): ForecastRequest => ({
  seriesId: `s${i}`,
  signal: 'bandwidthInBps',
  history: {
    startMs: 0,
    stepMs: 1000,
    values: Float64Array.from({ length: 60 }, (_, t) => i * 1000 + (t % 20)),
  },
  horizonSteps: 10,
  seasonSteps: [20],
  quantiles: [0.5, 0.99],
});

test('many series come back in order, each with its own forecast', async () => {
  const requests = Array.from({ length: 20 }, (_, i) => requestOf(i));
  const made = await pool.forecast(requests, 60_000);
  expect(made.map((f) => f.seriesId)).toEqual(requests.map((r) => r.seriesId));
  for (const [i, f] of made.entries()) expect(Math.abs(f.median[0]! - i * 1000)).toBeLessThan(40);
});

test('a slice that is too late is forecast by the safe members instead', async () => {
  const hasty = new ForecastPool({ logger: pino({ level: 'silent' }), workers: 1, timeLimitMs: 150 });
  await hasty.start();
  try {
    // A first run loads the thread; Prophet on thousands of points then takes longer than the limit.
    await hasty.forecast([{ ...requestOf(1), models: ['l1h'] }], 0).catch(() => []);
    const long = Float64Array.from(
      { length: 4000 },
      (_, t) => 100 + Math.sin(t / 3) * 50 + ((t * 7919) % 31),
    );
    const slow: ForecastRequest = {
      ...requestOf(2),
      history: { startMs: 0, stepMs: 1000, values: long },
      seasonSteps: [288],
      models: ['prophet'],
    };
    const [made] = await hasty.forecast(
      Array.from({ length: 8 }, () => slow),
      0,
    );
    expect(made!.mix.map((entry) => entry.model)).not.toContain('prophet');
    expect(made!.median.every(Number.isFinite)).toBe(true);
  } finally {
    await hasty.stop();
  }
});
