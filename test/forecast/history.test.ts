import { describe, expect, test } from 'vitest';
import { prolong } from '../../src/forecast/borrow.js';
import { eventEffects, occurrences } from '../../src/forecast/calendar.js';
import { type ForecastRequest, forecastSeries } from '../../src/forecast/index.js';
import { levelShift } from '../../src/forecast/regime.js';
import { chooseSeason, detectSeason, seasonStrength } from '../../src/forecast/seasons.js';

const HOUR_MS = 3_600_000;
const DAY = 24;
/** Monday, midnight UTC. */
const MONDAY = Date.UTC(2026, 10, 2);

const noise = (i: number): number => {
  const x = Math.sin(i * 12.9898) * 43_758.5453;
  return 2 * (x - Math.floor(x)) - 1;
};
const daily = (length: number, level = 100, share = 0.05): Float64Array =>
  Float64Array.from(
    { length },
    (_, i) => level * (1 + 0.5 * Math.sin((2 * Math.PI * i) / DAY) + share * noise(i)),
  );
const request = (values: Float64Array, more: Partial<ForecastRequest> = {}): ForecastRequest => ({
  seriesId: 'g/1/bandwidthOutBps',
  signal: 'bandwidthOutBps',
  history: { startMs: MONDAY, stepMs: HOUR_MS, values },
  horizonSteps: DAY,
  seasonSteps: [DAY],
  quantiles: [0.5, 0.9, 0.99],
  catchUpOrigins: 8,
  ...more,
});
const meanError = (path: Float64Array, truth: Float64Array): number =>
  path.reduce((sum, value, i) => sum + Math.abs(value - truth[i]!), 0) / path.length;

describe('seasons', () => {
  test.each([24, 60, 97, 288])('of %i steps are found in noise', (season) => {
    const values = Float64Array.from(
      { length: season * 8 },
      (_, i) => 50 + 20 * Math.sin((2 * Math.PI * i) / season) + 8 * noise(i),
    );
    const found = detectSeason(values);
    expect(Math.abs((found?.steps ?? 0) - season)).toBeLessThanOrEqual(Math.max(1, season / 48));
  });

  test('are not found where there are none', () => {
    const white = Float64Array.from({ length: 600 }, (_, i) => noise(i));
    expect(detectSeason(white)).toBeUndefined();
    let level = 0;
    const walk = Float64Array.from({ length: 600 }, (_, i) => {
      level += noise(i * 7 + 3);
      return level;
    });
    const found = detectSeason(walk);
    expect(found === undefined || found.steps > 60).toBe(true);
    expect(detectSeason(new Float64Array(300).fill(5))).toBeUndefined();
  });

  test('that are configured but not visible are used and said so', () => {
    const white = Float64Array.from({ length: 600 }, (_, i) => 10 + noise(i));
    expect(chooseSeason(white, [24], HOUR_MS).words).toMatch(/does not show it/);
    expect(seasonStrength(daily(20), 24)).toBeUndefined();
    expect(chooseSeason(daily(240), [], HOUR_MS)).toMatchObject({ day: 24 });
  });
});

describe('events', () => {
  test('recur by day, week, month, month end and year', () => {
    const at = (fromMs: number, every: 'day' | 'week' | 'month' | 'monthEnd' | 'year') =>
      occurrences(
        [{ name: 'x', fromMs, untilMs: fromMs + HOUR_MS, every }],
        Date.UTC(2026, 0, 1),
        Date.UTC(2027, 0, 1),
      ).map((event) => new Date(event.startMs).toISOString().slice(0, 10));
    expect(at(Date.UTC(2026, 0, 1), 'day')).toHaveLength(365);
    expect(at(Date.UTC(2025, 11, 29), 'week')[0]).toBe('2026-01-05');
    // Seven months have a 31st; every month has an end.
    expect(at(Date.UTC(2026, 0, 31), 'month')).toHaveLength(7);
    expect(at(Date.UTC(2026, 0, 31), 'monthEnd').slice(0, 3)).toEqual([
      '2026-01-31',
      '2026-02-28',
      '2026-03-31',
    ]);
    expect(at(Date.UTC(2020, 11, 25), 'year')).toEqual(['2026-12-25']);
  });

  test('that came before teach what the next one does, and leave no mark on other days', () => {
    const values = daily(24 * 28);
    const maintenance = (day: number) => ({
      name: 'maintenance',
      startMs: MONDAY + (24 * day + 2) * HOUR_MS,
      endMs: MONDAY + (24 * day + 6) * HOUR_MS,
    });
    for (const day of [10, 17, 27]) for (let h = 2; h < 6; h += 1) values[24 * day + h]! *= 0.1;
    const events = [10, 17, 27, 28].map(maintenance);
    const truth = daily(24 * 29).subarray(24 * 28);
    const told = forecastSeries(request(values, { events }), MONDAY);
    for (let h = 0; h < DAY; h += 1) {
      const wanted = h >= 2 && h < 6 ? truth[h]! * 0.1 : truth[h]!;
      expect(Math.abs(told.median[h]! - wanted)).toBeLessThan(25);
    }
    expect(told.notes.join()).toMatch(/event maintenance: times 0\.1/);
    const given = forecastSeries(request(values, { events: [{ ...maintenance(28), multiply: 0 }] }), MONDAY);
    expect(given.median[3]).toBe(0);
    expect(given.median[12]).toBeGreaterThan(30);
  });

  test('teach nothing from the future', () => {
    const values = daily(24 * 20);
    const event = { name: 'x', startMs: MONDAY + 24 * 15 * HOUR_MS, endMs: MONDAY + 24 * 16 * HOUR_MS };
    values.fill(0, 24 * 15, 24 * 16);
    const effects = eventEffects(values, MONDAY, HOUR_MS, DAY, [event]);
    expect([...effects.factors(24 * 15, 24 * 15, 2)]).toEqual([1, 1]);
    expect([...effects.factors(24 * 16, 24 * 15, 2)]).toEqual([0, 0]);
  });
});

describe('a change of level', () => {
  const stepped = (after: number, ratio: number): Float64Array =>
    daily(24 * 20 + after).map((value, i) => (i >= 24 * 20 ? value * ratio : value));

  test('is found where it happened, and not where nothing did', () => {
    expect(levelShift(daily(24 * 20), DAY)).toBeUndefined();
    expect(levelShift(stepped(14, 3), DAY)?.step).toBe(24 * 20);
    expect(levelShift(stepped(14, 3), DAY)?.ratio).toBeCloseTo(3, 0);
    // Too early to be believed, unless the fingerprint says so too.
    expect(levelShift(stepped(5, 3), DAY)).toBeUndefined();
    expect(levelShift(stepped(5, 3), DAY, 24 * 20)?.step).toBe(24 * 20);
  });

  test('shortens the memory: soon after it the day ahead is forecast at the new level', () => {
    const truth = stepped(5 + DAY, 3).subarray(24 * 20 + 5);
    const hinted = forecastSeries(
      request(stepped(5, 3), { changedMs: MONDAY + 24 * 20 * HOUR_MS, catchUpOrigins: 20 }),
      MONDAY,
    );
    const alone = forecastSeries(request(stepped(5, 3), { catchUpOrigins: 20 }), MONDAY);
    expect(meanError(hinted.median, truth)).toBeLessThan(0.5 * meanError(alone.median, truth));
    expect(hinted.notes.join()).toMatch(/level changed/);
  });

  test('the first hour follows the last minutes', () => {
    const fine = Float64Array.from({ length: 288 * 10 }, (_, i) => {
      const usual = 100 + 40 * Math.sin((2 * Math.PI * i) / 288) + 4 * noise(i);
      return i >= 288 * 10 - 6 ? usual * 2 : usual;
    });
    const forecast = forecastSeries(
      request(fine, {
        history: { startMs: MONDAY, stepMs: 300_000, values: fine },
        horizonSteps: 288,
        seasonSteps: [288],
      }),
      MONDAY,
    );
    const usual = 100 + 40 * Math.sin(0);
    expect(forecast.median[0]).toBeGreaterThan(1.3 * usual);
  });
});

describe('borrowed history', () => {
  test('makes a young workload follow the day of its kin at its own level', () => {
    const kin = { startMs: MONDAY, stepMs: HOUR_MS, values: daily(24 * 30, 1000) };
    const own = daily(24 * 30 + 6 + DAY, 50);
    const history = {
      startMs: MONDAY + 24 * 30 * HOUR_MS,
      stepMs: HOUR_MS,
      values: own.slice(24 * 30, 24 * 30 + 6),
    };
    const truth = own.subarray(24 * 30 + 6);
    const donors = [{ name: 'kin', history: kin, similarity: 0.95 }];
    const borrowed = forecastSeries(request(own, { history, donors }), MONDAY);
    const alone = forecastSeries(request(own, { history }), MONDAY);
    const flat = new Float64Array(DAY).fill(history.values.at(-1)!);
    expect(meanError(borrowed.median, truth)).toBeLessThan(0.6 * meanError(alone.median, truth));
    expect(meanError(borrowed.median, truth)).toBeLessThan(0.6 * meanError(flat, truth));
    expect(borrowed.status).toBe('learning');
    expect(borrowed.historySteps).toBe(6);
    expect(borrowed.notes.join()).toMatch(/borrowed from kin \(similarity 0\.95\)/);
  });

  test('fades: a week of own history borrows nothing, and own values are never replaced', () => {
    const donors = [
      { name: 'kin', history: { startMs: MONDAY, stepMs: HOUR_MS, values: daily(24 * 30) }, similarity: 1 },
    ];
    expect(prolong(daily(24 * 7), MONDAY, HOUR_MS, DAY, donors)).toBeUndefined();
    const own = daily(24 * 2, 7);
    const longer = prolong(own, MONDAY + 24 * 30 * HOUR_MS, HOUR_MS, DAY, donors)!;
    expect([...longer.values.subarray(longer.borrowed)]).toEqual([...own]);
    expect(prolong(own, MONDAY, HOUR_MS, DAY, [])).toBeUndefined();
  });
});
