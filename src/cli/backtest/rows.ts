import { readFileSync } from 'node:fs';
import { defineErrors, messageOf } from '../../base/errors.js';
import type { SeriesScore } from '../../forecast/backtest.js';
import type { NowcastScore } from '../../forecast/nowcast/score.js';

const fail = defineErrors({
  TG_CLI_BACKTEST_FILE: { message: 'cannot read {file}: {reason}', hint: 'check the name', exitCode: 2 },
});

/** What a backtest says of one series. */
export interface Row extends Partial<SeriesScore> {
  readonly file: string;
  /** Its column, where several were named. */
  readonly column?: string;
  readonly nowcast?: NowcastScore | null;
}

/** @throws TG_CLI_BACKTEST_FILE */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw fail('TG_CLI_BACKTEST_FILE', { file, reason: messageOf(error) });
  }
}

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
const geometric = (values: readonly number[]): number | null => {
  const logs = mean(values.map((value) => Math.log(Math.max(value, 1e-9))));
  return logs === null ? null : Math.exp(logs);
};

export interface Summary {
  readonly geometricMeanRelative: number | null;
  readonly shareWorse: number | null;
  readonly coverage: { readonly p90: number | null; readonly p99: number | null };
  /** By part of the horizon, of series old enough. */
  readonly coverageByBucket: readonly { readonly p90: number | null; readonly p99: number | null }[];
  readonly nowcastRelative?: number | null;
}

/** Geometric mean of relative errors, share of series worse than naive, mean coverage of series old enough. */
export function summarise(rows: readonly Row[]): Summary {
  const relative = rows.map((row) => row.relativeToSeasonalNaive).filter((r) => typeof r === 'number');
  const mature = rows.filter((row) => row.mature === true);
  const coverage = (level: 'p90' | 'p99'): number | null =>
    mean(mature.map((row) => row.coverage?.[level]).filter((c) => typeof c === 'number'));
  const buckets = Math.max(0, ...mature.map((row) => row.coverageByBucket?.length ?? 0));
  const near = rows.map((row) => row.nowcast?.relativeToPersistence).filter((r) => typeof r === 'number');
  const bucketCoverage = (b: number, level: 'p90' | 'p99'): number | null =>
    mean(mature.map((row) => row.coverageByBucket?.[b]?.[level]).filter((c) => typeof c === 'number'));
  return {
    geometricMeanRelative: geometric(relative),
    shareWorse: mean(relative.map((r) => (r > 1 ? 1 : 0))),
    coverage: { p90: coverage('p90'), p99: coverage('p99') },
    coverageByBucket: Array.from({ length: buckets }, (_, b) => ({
      p90: bucketCoverage(b, 'p90'),
      p99: bucketCoverage(b, 'p99'),
    })),
    ...(near.length > 0 ? { nowcastRelative: geometric(near) } : {}),
  };
}
