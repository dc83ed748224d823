import { parse } from 'csv-parse/sync';
import { defineErrors, messageOf } from '../base/errors.js';
import { median } from '../base/statistics.js';

const fail = defineErrors({
  TG_FORECAST_COLUMN: {
    message: '{file} has no column "{column}"',
    hint: 'its columns are: {columns}',
    exitCode: 2,
  },
  TG_FORECAST_CSV: {
    message: '{file}: {reason}',
    hint: 'it needs a header, timestamps and numbers',
  },
});

export interface RegularSeries {
  readonly startMs: number;
  readonly stepMs: number;
  /** NaN where nothing was observed. */
  readonly observed: Float64Array;
}

/** A file in columns. */
export interface CsvTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Numbers are written with a decimal comma. */
  readonly decimalComma: boolean;
}

/** Steps that a regular series may have at most: what is longer is sparse, not regular. */
const MOST_STEPS = 5_000_000;
/** A difference that so many neighbours share is the step; otherwise the times are irregular. */
const USUAL_SHARE = 0.25;

/** Columns separated by commas, semicolons or tabs, whichever the header has most of. */
export function readCsv(text: string, file: string): CsvTable {
  const first = text.slice(0, text.search(/\r?\n|$/)).replace(/"[^"]*"/g, '');
  if (text.trim() === '') throw fail('TG_FORECAST_CSV', { file, reason: 'it is empty' });
  const delimiter = [',', ';', '\t'].sort((a, b) => first.split(b).length - first.split(a).length)[0]!;
  try {
    const all = parse(text, {
      delimiter,
      bom: true,
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true,
      relax_quotes: true,
    }) as string[][];
    return { header: all[0] ?? [], rows: all.slice(1), decimalComma: delimiter === ';' };
  } catch (error) {
    throw fail('TG_FORECAST_CSV', { file, reason: messageOf(error) }, error);
  }
}

/** Digits of a Unix time tell its unit: 1e11 s is the year 5138. */
function unixMs(value: number): number {
  const size = Math.abs(value);
  if (size < 1e11) return value * 1000;
  if (size < 1e14) return value;
  return size < 1e17 ? value / 1e3 : value / 1e6;
}

/** Unix milliseconds of a date, UTC where it names no zone, or of a number of s, ms, µs or ns since 1970; NaN = neither. */
export function timeOf(text: string): number {
  const number = Number(text);
  if (text !== '' && Number.isFinite(number)) return unixMs(number);
  const iso =
    /^(\d{4}-\d\d-\d\d)(?:[T ]+(\d\d:\d\d(?::\d\d)?)(\.\d+)?)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?$/i.exec(
      text,
    );
  if (iso !== null) {
    const [, date, clock = '00:00', fraction = '', zone = 'Z'] = iso;
    const offset = /^[+-]/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}` : 'Z';
    const seconds = clock.length === 5 ? `${clock}:00` : clock;
    return Date.parse(`${date}T${seconds}${fraction.slice(0, 4)}${offset}`);
  }
  const zoned = /(Z|UTC|GMT|[+-]\d\d:?\d\d)\)?$/i.test(text) && !/^\d+-\d+-\d+$/.test(text);
  return Date.parse(zoned ? text : `${text} UTC`);
}

/** A number, with or without a percent sign; NaN where nothing was observed. */
function numberOf(text: string, decimalComma: boolean): number {
  const plain = text.replace(/\s*%$/, '');
  return plain === '' ? Number.NaN : Number(decimalComma ? plain.replace(',', '.') : plain);
}

function columnOf({ header }: CsvTable, file: string, name: string): number {
  const wanted = name.trim();
  const exact = header.indexOf(wanted);
  const alike = header.findIndex((title) => title.toLowerCase() === wanted.toLowerCase());
  const at = exact >= 0 ? exact : alike;
  if (at < 0) throw fail('TG_FORECAST_COLUMN', { file, column: name, columns: header.join(', ') });
  return at;
}

/** The most usual difference of neighbours; the middle one where none is usual, as with jitter, to whole seconds. */
function stepOf(times: readonly number[]): number {
  const counts = new Map<number, number>();
  for (let i = 1; i < times.length; i += 1) {
    const step = times[i]! - times[i - 1]!;
    counts.set(step, (counts.get(step) ?? 0) + 1);
  }
  const [usual, count] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0]!;
  if (count >= USUAL_SHARE * (times.length - 1)) return usual;
  const middle = median(times.slice(1).map((time, i) => time - times[i]!));
  return middle >= 1000 ? 1000 * Math.round(middle / 1000) : middle;
}

/**
 * Names of value columns, separated by commas; a column whose own name has a comma is found by its whole name.
 *
 * @throws TG_FORECAST_COLUMN
 */
export function valueColumns(table: CsvTable, file: string, names: string): string[] {
  if (table.header.includes(names.trim())) return [names.trim()];
  const columns = names.split(',').map((name) => name.trim());
  for (const column of columns) columnOf(table, file, column);
  return columns;
}

/**
 * Two columns of a table as a regular series: rows sorted by time, the last of duplicates kept, values put on the grid
 * of the most usual step, the mean where several fall on one step of it.
 *
 * @throws TG_FORECAST_COLUMN, TG_FORECAST_CSV
 */
export function seriesOf(
  table: CsvTable,
  file: string,
  timestampColumn: string,
  valueColumn: string,
): RegularSeries {
  const timeAt = columnOf(table, file, timestampColumn);
  const valueAt = columnOf(table, file, valueColumn);
  const rows = new Map<number, number>();
  for (const row of table.rows) {
    const time = timeOf(row[timeAt] ?? '');
    const value = numberOf(row[valueAt] ?? '', table.decimalComma);
    if (Number.isFinite(time) && Number.isFinite(value)) rows.set(time, value);
  }
  if (rows.size < 2)
    throw fail('TG_FORECAST_CSV', {
      file,
      reason: `${rows.size} of ${table.rows.length} rows have a timestamp and a number, two are the least`,
    });
  const times = [...rows.keys()].sort((a, b) => a - b);
  const stepMs = stepOf(times);
  const startMs = times[0]!;
  const length = Math.floor((times.at(-1)! - startMs) / stepMs + 0.5) + 1;
  if (length > MOST_STEPS)
    throw fail('TG_FORECAST_CSV', {
      file,
      reason: `its ${rows.size} values are spread over ${length} steps of ${stepMs / 1000} s`,
    });
  const observed = new Float64Array(length).fill(Number.NaN);
  const counts = new Uint32Array(length);
  for (const time of times) {
    const at = Math.round((time - startMs) / stepMs);
    const before = counts[at]! === 0 ? 0 : observed[at]!;
    counts[at]! += 1;
    observed[at] = before + (rows.get(time)! - before) / counts[at]!;
  }
  return { startMs, stepMs, observed };
}

/** {@link seriesOf} of a CSV file's text. */
export const parseSeries = (
  text: string,
  file: string,
  timestampColumn: string,
  valueColumn: string,
): RegularSeries => seriesOf(readCsv(text, file), file, timestampColumn, valueColumn);

/** Means over whole groups of `factor` steps; a group without any observation stays NaN. */
export function coarsen(observed: Float64Array, factor: number): Float64Array {
  return Float64Array.from({ length: Math.floor(observed.length / factor) }, (_, j) => {
    const seen = observed.subarray(j * factor, (j + 1) * factor).filter((value) => !Number.isNaN(value));
    return seen.length === 0 ? Number.NaN : seen.reduce((sum, value) => sum + value / seen.length, 0);
  });
}
