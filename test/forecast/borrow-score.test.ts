import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prolong } from '../../src/forecast/borrow.js';
import { scoreBorrowing } from '../../src/forecast/borrow-score.js';
import { coarsen, parseSeries } from '../../src/forecast/read-series.js';

const data = join(process.env.TIDEGATE_DATA ?? join(import.meta.dirname, '../../../shared/data'), 'series');
const present = existsSync(data);
const HOUR_MS = 3_600_000;

const hourly = (file: string, time: string, value: string) => {
  const { startMs, stepMs, observed } = parseSeries(
    readFileSync(join(data, file), 'utf8'),
    file,
    time,
    value,
  );
  const history = { startMs, stepMs: HOUR_MS, values: coarsen(observed, Math.round(HOUR_MS / stepMs)) };
  return { name: `${file}:${value}`, history };
};

const steady = (n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => 100 + (i % 2));

test('a steady workload is not given the bursts of another, a lively one is given its shape', () => {
  const startMs = 21 * 24 * HOUR_MS;
  const lively = (from: number, n: number): Float64Array =>
    Float64Array.from({ length: n }, (_, i) => 10 + 8 * Math.sin((2 * Math.PI * (from + i)) / 24));
  const bursts = Float64Array.from({ length: 22 * 24 }, (_, i) => (i % 24 === 3 ? 2000 : 100));
  const of = (own: Float64Array, values: Float64Array): Float64Array =>
    prolong(own, startMs, HOUR_MS, 24, [
      { name: 'other', similarity: 1, history: { startMs: 0, stepMs: HOUR_MS, values } },
    ])!.values;
  // Seen at the time of day of the bursts, which it has not.
  expect(Math.max(...of(steady(6), bursts))).toBeLessThan(115);
  const given = of(
    lively(0, 12).map((value) => 3 * value),
    lively(0, 22 * 24),
  ).subarray(0, 14 * 24);
  const span = Math.max(...given) / Math.min(...given);
  expect(span).toBeGreaterThan(3);
});

test.skipIf(!present)(
  present
    ? 'on real series of every kind whose history is hidden, borrowing beats the current level held flat'
    : 'borrowing on real series (skipped: no series under ../shared/data or TIDEGATE_DATA)',
  () => {
    const nab = (...names: readonly string[]) =>
      names.map((name) => hourly(`nab/${name}.csv`, 'timestamp', 'value'));
    const cpu = ['24ae8d', '53ea38', '5f5533', '77c1ca', '825cc2', 'ac20cd', 'c6585a', 'fe7f93'];
    const alike = [
      nab('Twitter_volume_AMZN', 'Twitter_volume_GOOG'),
      ['meanCPUUsage', 'CanonicalMemUsage'].map((name) =>
        hourly('cluster/google2011_5m.csv', 'time_stamp', name),
      ),
      nab('ec2_disk_write_bytes_1ef3de', 'ec2_disk_write_bytes_c0d644'),
    ];
    // Of one kind by name only: bursts of some are foreign to the others.
    const unlike = [
      nab(...cpu.map((id) => `ec2_cpu_utilization_${id}`)),
      nab(...['ec2_network_in_257a54', 'ec2_network_in_5abac7'], 'iio_us-east-1_i-a2eb1cd9_NetworkIn'),
      nab('rds_cpu_utilization_cc0c53', 'rds_cpu_utilization_e47b3b'),
    ];
    const ratios = (families: readonly (typeof alike)[number][]): number[] =>
      [6, 12].flatMap((visible) =>
        families.flatMap((family) =>
          family.map((one) => {
            const donors = family
              .filter((other) => other !== one)
              .map((other) => ({ ...other, similarity: 1 }));
            return scoreBorrowing(one.history, donors, 24, visible)!.borrowedToFlat!;
          }),
        ),
      );
    const near = ratios(alike);
    expect(near).toHaveLength(12);
    for (const ratio of near) expect(ratio).toBeLessThan(1);
    const all = [...near, ...ratios(unlike)];
    expect(all).toHaveLength(38);
    const geometric = Math.exp(all.reduce((sum, ratio) => sum + Math.log(ratio), 0) / all.length);
    expect(geometric).toBeLessThan(0.92);
  },
);
