import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseSeries, readCsv, seriesOf, timeOf, valueColumns } from '../../src/forecast/read-series.js';

const root = join(import.meta.dirname, '../..');
/** Deterministic noise in [0, 1). */
const noise = (i: number): number => (Math.imul(i + 1, 2654435761) >>> 0) / 2 ** 32;
const folder = mkdtempSync(join(tmpdir(), 'tidegate-series-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('times', () => {
  const noon = Date.UTC(2026, 0, 31, 12);
  it.each([
    '2026-01-31 12:00:00',
    '2026-01-31T12:00',
    '2026-01-31T12:00:00Z',
    '2026-01-31T12:00:00.000000Z',
    '2026-01-31 12:00:00 UTC',
    '2026-01-31T13:00:00+01:00',
    '2026-01-31 13:00:00+0100',
    '2026-01-31 13:00:00+01',
    '2026-01-31T06:30:00-05:30',
    '01/31/2026 12:00',
    'Jan 31 2026 12:00:00',
    'Sat, 31 Jan 2026 12:00:00 GMT',
    String(noon / 1000),
    String(noon),
    `${noon}000`,
    `${noon}000000`,
  ])('%s is noon', (text) => expect(timeOf(text)).toBe(noon));

  it('a date alone is its midnight in UTC, nonsense is no time', () => {
    expect(timeOf('2026-01-31')).toBe(Date.UTC(2026, 0, 31));
    expect(timeOf('01/31/2026')).toBe(Date.UTC(2026, 0, 31));
    expect(timeOf('yesterday')).toBeNaN();
    expect(timeOf('')).toBeNaN();
  });
});

describe('files', () => {
  it('with quotes, commas in them, spaces in names, a byte order mark and percent signs', () => {
    const text =
      '\uFEFF"Time, UTC" , CPU Load (%)\r\n"2026-01-01 00:00:00",5 %\r\n"2026-01-01 01:00:00","7%"\r\n';
    const series = parseSeries(text, 'x.csv', 'time, utc', 'CPU Load (%)');
    expect([...series.observed]).toEqual([5, 7]);
  });

  it('with semicolons and decimal commas, or tabs', () => {
    expect([...parseSeries('t;v\n0;1,5\n60;2,5\n', 'x', 't', 'v').observed]).toEqual([1.5, 2.5]);
    expect([...parseSeries('t\tv\n0\t1.5\n60\t2.5\n', 'x', 't', 'v').observed]).toEqual([1.5, 2.5]);
  });

  it('with several value columns', () => {
    const table = readCsv('t,in,"a,b"\n0,1,5\n60,2,6\n', 'x');
    expect(valueColumns(table, 'x', 'in,t')).toEqual(['in', 't']);
    expect(valueColumns(table, 'x', 'a,b')).toEqual(['a,b']);
    expect([...seriesOf(table, 'x', 't', 'a,b').observed]).toEqual([5, 6]);
    expect(() => valueColumns(table, 'x', 'in,out')).toThrow(/no column "out"/);
  });

  it('whose times jitter lie on a grid of the middle step, averaged where two meet', () => {
    const times = Array.from({ length: 500 }, (_, i) => i * 300 + 4 * noise(i * i));
    const text = `t,v\n${times.map((t, i) => `${t},${i}`).join('\n')}\n`;
    const series = parseSeries(text, 'x', 't', 'v');
    expect(series.stepMs).toBe(300_000);
    expect([...series.observed]).toEqual(times.map((_, i) => i));
    const twice = parseSeries('t,v\n0,1\n60,2\n120,3\n125,5\n180,4\n', 'x', 't', 'v');
    expect([...twice.observed]).toEqual([1, 2, 4, 4]);
  });

  it.each([
    ['one point', 't,v\n0,1\n', /1 of 1 rows/],
    ['only NaN', 't,v\n0,NaN\n60,\n120,null\n', /0 of 3 rows/],
    ['nothing', '', /it is empty/],
    ['years between seconds', 't,v\n0,1\n1,2\n2,2\n3,1\n4000000000,3\n', /spread over/],
  ])('with %s are refused by name', (_name, text, reason) =>
    expect(() => parseSeries(text, 'x', 't', 'v')).toThrow(reason),
  );
});

describe('the command', () => {
  const HOUR = 3600;
  const file = (name: string, lines: readonly string[]): string => {
    writeFileSync(join(folder, name), `time,value,other\n${lines.join('\n')}\n`);
    return join(folder, name);
  };
  const row = (i: number, step: number, value: number): string => `${i * step},${value},${i % 5}`;
  const load = (i: number, day: number): number =>
    100 + 40 * Math.sin((2 * Math.PI * i) / day) + 13 * noise(i * i);
  const backtest = (...args: string[]) =>
    JSON.parse(
      execFileSync(
        process.execPath,
        [
          join(root, 'dist/cli/main.js'),
          'forecast',
          'backtest',
          ...args,
          '--timestamp-column',
          'time',
        ].concat('--output', 'json'),
        { encoding: 'utf8' },
      ),
    );
  const hours = (n: number, of: (i: number) => number): string[] =>
    Array.from({ length: n }, (_, i) => row(i, HOUR, of(i)));

  it('scores or refuses each file by itself, in the shape that is promised', () => {
    const files = [
      file(
        'good.csv',
        hours(24 * 25, (i) => load(i, 24)),
      ),
      file('one.csv', [row(0, HOUR, 1)]),
      file(
        'short.csv',
        hours(30, (i) => i),
      ),
      file(
        'zeros.csv',
        hours(24 * 12, (i) => (i % 17 === 0 ? 5 : 0)),
      ),
      file(
        'gaps.csv',
        hours(24 * 12, (i) => load(i, 24)).filter((_, i) => i % 50 < 40),
      ),
      join(folder, 'empty.csv'),
    ];
    writeFileSync(join(folder, 'empty.csv'), '\n');
    const { series, summary, cpuSeconds } = backtest(...files);
    expect(series.map((s: { status: string }) => s.status)).toEqual([
      'ok',
      'refused',
      'refused',
      'learning',
      'learning',
      'refused',
    ]);
    expect(series[5].refusal).toMatch(/empty\.csv: it is empty/);
    expect(series[1].refusal).toMatch(/1 of 1 rows/);
    for (const s of series)
      expect(s).toMatchObject({
        file: expect.any(String),
        points: expect.any(Number),
        mix: expect.any(Array),
        coverage: { p90: s.status === 'refused' ? null : expect.any(Number) },
      });
    expect(series[0].relativeToSeasonalNaive).toBeLessThan(1);
    expect(Object.keys(series[0])).toEqual(
      expect.arrayContaining(['mase', 'smape', 'relativeToSeasonalNaive', 'coverage']),
    );
    expect(summary).toMatchObject({
      geometricMeanRelative: expect.any(Number),
      shareWorse: expect.any(Number),
      coverage: { p90: expect.any(Number), p99: expect.any(Number) },
    });
    expect(cpuSeconds).toBeGreaterThan(0);
  });

  it('takes daily values with a week, several columns, and a hundred thousand points', () => {
    const daily = file(
      'daily.csv',
      Array.from({ length: 300 }, (_, i) => row(i, 86_400, load(i, 7))),
    );
    const weekly = backtest(
      daily,
      '--season',
      '7d',
      '--horizon',
      '7d',
      '--value-column',
      'value,other',
    ).series;
    expect(weekly.map((s: { column: string }) => s.column)).toEqual(['value', 'other']);
    expect(weekly[0].relativeToSeasonalNaive).toBeLessThan(1);
    const long = file(
      'long.csv',
      hours(100_000, (i) => load(i, 24)),
    );
    expect(backtest(long).series[0]).toMatchObject({ status: 'ok', points: 100_000 });
  });
});
