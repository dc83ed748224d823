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

test('a model that takes too long is replaced and named, on that series only, and not tried again the next time', async () => {
  const long = Float64Array.from(
    { length: 16_000 },
    (_, t) => 100 + Math.sin(t / 3) * 50 + ((t * 7919) % 31),
  );
  const easy: ForecastRequest = { ...requestOf(1), models: ['l1h'] };
  const slow: ForecastRequest = {
    ...requestOf(2),
    history: { startMs: 0, stepMs: 1000, values: long },
    seasonSteps: [288],
    models: ['l1h', 'prophet'],
  };
  // Prophet on thousands of points, again and again, takes all but a tenth of this: half of it is too little for it.
  await pool.forecast([easy], 0);
  const startedMs = performance.now();
  expect((await pool.forecast([slow], 0))[0]!.failures).toEqual([]);
  const timeLimitMs = Math.ceil((performance.now() - startedMs) / 2);
  const warnings: unknown[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line)) });
  const hasty = new ForecastPool({ logger, workers: 1, timeLimitMs });
  await hasty.start();
  try {
    // A first run loads the thread.
    await hasty.forecast([{ ...easy, seriesId: 'warm-up' }], 0);
    warnings.length = 0;
    const [quick, made] = await hasty.forecast([easy, slow], 0);
    expect(made!.failures).toEqual([
      { model: 'prophet', reason: `took longer than ${timeLimitMs / 1000} s` },
    ]);
    expect(made!.mix.map((entry) => entry.model)).not.toContain('prophet');
    expect(made!.median.every(Number.isFinite)).toBe(true);
    expect(made!.median).toHaveLength(10);
    expect(quick!.failures).toEqual([]);
    const [, again] = await hasty.forecast([easy, slow], 60_000);
    expect(again!.failures).toEqual(made!.failures);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ seriesId: 's2', model: 'prophet' });
  } finally {
    await hasty.stop();
  }
});

test('where nothing but a hanging model was asked for, safe members stand in', async () => {
  const [made] = await pool.forecast(
    [
      {
        ...requestOf(3),
        models: ['prophet'],
        leftOut: [{ model: 'prophet', reason: 'took longer than 30 s' }],
      },
    ],
    0,
  );
  expect(made!.failures).toEqual([{ model: 'prophet', reason: 'took longer than 30 s' }]);
  expect(made!.mix.length).toBeGreaterThan(2);
  expect(Math.abs(made!.median[0]! - 3000)).toBeLessThan(40);
});

test('a series that cannot be forecast at all is refused by name, the others of its slice are not touched', async () => {
  const broken = { ...requestOf(4), horizonSteps: -1 };
  const made = await pool.forecast([requestOf(1), broken, requestOf(2)], 0);
  expect(made.map((f) => f.status)).toEqual(['learning', 'refused', 'learning']);
  expect(made[1]!.refusal?.code).toBe('TG_FORECAST_FAILED');
});
