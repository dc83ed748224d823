import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BurstMonth, burstSplit, evenSplit, perfectBurstBps } from '../../src/plan/burst.js';
import { readSeries } from '../../src/plan/index.js';

const month = (values: readonly number[], monthStart: number): BurstMonth => ({
  demandBps: Float64Array.from(values),
  monthStart,
  samplesPerDay: 24,
  percentile: 0.95,
});

const randomMonth = fc
  .array(fc.integer({ min: 0, max: 1000 }), { minLength: 24 * 25, maxLength: 24 * 25 })
  .map((values) => month(values, 24 * 5));

describe('two burstable links', () => {
  it('carry all of the demand, and never cost less than perfect foresight', () => {
    fc.assert(
      fc.property(randomMonth, (m) => {
        for (const split of [burstSplit(m), evenSplit(m)]) {
          for (let i = 0; i < split.links[0].length; i += 1) {
            expect(split.links[0][i]! + split.links[1][i]!).toBeCloseTo(m.demandBps[m.monthStart + i]!, 9);
            expect(Math.min(split.links[0][i]!, split.links[1][i]!)).toBeGreaterThanOrEqual(0);
          }
          expect(split.billedBps).toBeGreaterThanOrEqual(perfectBurstBps(m) - 1e-9);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('never use the future', () => {
    fc.assert(
      fc.property(randomMonth, fc.integer({ min: 1, max: 400 }), (m, cut) => {
        const other = {
          ...m,
          demandBps: m.demandBps.map((v, i) => (i >= m.monthStart + cut ? 5000 - v : v)),
        };
        expect(burstSplit(other).links[0].subarray(0, cut)).toEqual(burstSplit(m).links[0].subarray(0, cut));
      }),
      { numRuns: 20 },
    );
  });

  it('cost less than an even split on real traffic', (context) => {
    const data = process.env.TIDEGATE_DATA ?? resolve(import.meta.dirname, '../../../shared/data');
    const file = join(data, 'series/isp/it_uk_5m.csv');
    if (!existsSync(file)) {
      context.skip('the development data is not here (set TIDEGATE_DATA)');
      return;
    }
    const { values } = readSeries(file, { valueColumn: 'bits' });
    const demandBps = values.slice(-44 * 288);
    const m: BurstMonth = { demandBps, monthStart: 14 * 288, samplesPerDay: 288, percentile: 0.95 };
    const ratio = burstSplit(m).billedBps / perfectBurstBps(m);
    expect(ratio).toBeLessThanOrEqual(evenSplit(m).billedBps / perfectBurstBps(m) + 0.02);
    expect(ratio).toBeLessThanOrEqual(1.15);
  });
});
