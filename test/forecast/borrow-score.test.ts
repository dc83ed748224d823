import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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

test.skipIf(!present)(
  present
    ? 'on real series whose history is hidden, borrowing beats the current level held flat'
    : 'borrowing on real series (skipped: no series under ../shared/data or TIDEGATE_DATA)',
  () => {
    const families = [
      ['AMZN', 'GOOG'].map((name) => hourly(`nab/Twitter_volume_${name}.csv`, 'timestamp', 'value')),
      ['meanCPUUsage', 'CanonicalMemUsage'].map((name) =>
        hourly('cluster/google2011_5m.csv', 'time_stamp', name),
      ),
    ];
    const ratios = [6, 12].flatMap((visible) =>
      families.flatMap((family) =>
        family.map((one) => {
          const donors = family
            .filter((other) => other !== one)
            .map((other) => ({ ...other, similarity: 1 }));
          return scoreBorrowing(one.history, donors, 24, visible)!.borrowedToFlat!;
        }),
      ),
    );
    expect(ratios).toHaveLength(8);
    const geometric = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    expect(geometric).toBeLessThan(0.95);
    for (const ratio of ratios) expect(ratio).toBeLessThan(1);
  },
);
