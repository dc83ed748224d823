import { defineErrors } from '../base/errors.js';

const fail = defineErrors({
  TG_FORECAST_COLUMN: {
    message: '{file} has no column "{column}"',
    hint: 'its columns are: {columns}',
    exitCode: 2,
  },
  TG_FORECAST_CSV: { message: '{file} holds no usable rows', hint: 'it needs timestamps and numbers' },
});

export interface RegularSeries {
  readonly startMs: number;
  readonly stepMs: number;
  /** NaN where nothing was observed. */
  readonly observed: Float64Array;
}

const cells = (line: string): string[] =>
  line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));

/** Milliseconds of a date, or of a number of seconds or milliseconds since 1970. */
function timeOf(text: string): number {
  const number = Number(text);
  if (text !== '' && Number.isFinite(number)) return Math.abs(number) > 1e11 ? number : number * 1000;
  const zoned =
    /[zZ]$|[+-]\d\d:?\d\d$/.test(text) || !/\d:\d/.test(text) ? text : `${text.replace(' ', 'T')}Z`;
  return Date.parse(zoned);
}

/**
 * Two columns of a CSV file as a regular series: rows sorted by time, the last of duplicates kept, values put on the
 * grid of the most usual step.
 *
 * @throws TG_FORECAST_COLUMN, TG_FORECAST_CSV
 */
export function parseSeries(
  text: string,
  file: string,
  timestampColumn: string,
  valueColumn: string,
): { readonly startMs: number; readonly stepMs: number; readonly observed: Float64Array } {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const header = cells(lines[0] ?? '');
  const column = (name: string): number => {
    const at = header.indexOf(name);
    if (at < 0) throw fail('TG_FORECAST_COLUMN', { file, column: name, columns: header.join(', ') });
    return at;
  };
  const timeAt = column(timestampColumn);
  const valueAt = column(valueColumn);
  const rows = new Map<number, number>();
  for (const line of lines.slice(1)) {
    const row = cells(line);
    const time = timeOf(row[timeAt] ?? '');
    const raw = row[valueAt] ?? '';
    const value = raw === '' ? Number.NaN : Number(raw);
    if (Number.isFinite(time) && Number.isFinite(value)) rows.set(time, value);
  }
  if (rows.size < 2) throw fail('TG_FORECAST_CSV', { file });
  const times = [...rows.keys()].sort((a, b) => a - b);
  const steps = new Map<number, number>();
  for (let i = 1; i < times.length; i += 1) {
    const step = times[i]! - times[i - 1]!;
    steps.set(step, (steps.get(step) ?? 0) + 1);
  }
  const stepMs = [...steps].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0]![0];
  const startMs = times[0]!;
  const length = Math.floor((times.at(-1)! - startMs) / stepMs + 0.5) + 1;
  if (length > 50_000_000) throw fail('TG_FORECAST_CSV', { file });
  const observed = new Float64Array(length).fill(Number.NaN);
  for (const time of times) observed[Math.round((time - startMs) / stepMs)] = rows.get(time)!;
  return { startMs, stepMs, observed };
}

/** Means over whole groups of `factor` steps; a group without any observation stays NaN. */
export function coarsen(observed: Float64Array, factor: number): Float64Array {
  return Float64Array.from({ length: Math.floor(observed.length / factor) }, (_, j) => {
    const seen = observed.subarray(j * factor, (j + 1) * factor).filter((value) => !Number.isNaN(value));
    return seen.length === 0 ? Number.NaN : seen.reduce((sum, value) => sum + value / seen.length, 0);
  });
}
