import { readFileSync } from 'node:fs';
import { defineErrors, messageOf } from '../../base/errors.js';

const fail = defineErrors({
  TG_PLAN_SERIES_READ: { message: 'cannot read {file}: {reason}', hint: 'check the path', exitCode: 2 },
  TG_PLAN_SERIES_COLUMN: {
    message: '{file} has no column "{column}"',
    hint: 'it has {known}',
    exitCode: 2,
  },
  TG_PLAN_SERIES_VALUE: {
    message: '{file}:{line}: "{text}" in column {column} is not {expected}',
    hint: 'correct the line, or name another column',
    exitCode: 2,
  },
  TG_PLAN_SERIES_EMPTY: {
    message: '{file} has {rows} usable rows',
    hint: 'a series needs a header line and at least two rows',
    exitCode: 2,
  },
});

/** A regular series. */
export interface Series {
  readonly startMs: number;
  readonly stepMs: number;
  readonly values: Float64Array;
  /** Steps without a row, filled by a straight line between their neighbours. */
  readonly filledSteps: number;
  readonly timestampColumn: string;
  readonly valueColumn: string;
}

export interface SeriesColumns {
  readonly timestampColumn?: string | undefined;
  readonly valueColumn?: string | undefined;
}

const cellsOf = (line: string): string[] =>
  line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));

/** Unix milliseconds of a cell: ISO or `YYYY-MM-DD hh:mm:ss` (UTC when no zone is named), seconds or milliseconds. */
export function parseTimestampMs(text: string): number {
  if (text === '') return Number.NaN;
  const number = Number(text);
  if (Number.isFinite(number)) return Math.abs(number) >= 1e11 ? number : number * 1000;
  const iso = text.replace(' ', 'T');
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(iso) || iso.length <= 10 ? iso : `${iso}Z`);
}

/**
 * A series from CSV text with a header line. Without names, the first column is the time and the next numeric one the
 * value. Rows may be out of order and steps missing; two rows in one step are averaged.
 *
 * @throws TG_PLAN_SERIES_COLUMN, TG_PLAN_SERIES_VALUE, TG_PLAN_SERIES_EMPTY
 */
export function parseSeries(text: string, file: string, columns: SeriesColumns = {}): Series {
  const lines = text.split(/\r?\n/);
  const header = cellsOf(lines[0] ?? '');
  const first = cellsOf(lines[1] ?? '');
  const at = (column: string): number => {
    const index = header.indexOf(column);
    if (index < 0) throw fail('TG_PLAN_SERIES_COLUMN', { file, column, known: header.join(', ') });
    return index;
  };
  const time = columns.timestampColumn === undefined ? 0 : at(columns.timestampColumn);
  const numeric = header.findIndex(
    (_, i) => i !== time && first[i] !== undefined && first[i] !== '' && Number.isFinite(Number(first[i])),
  );
  const value = columns.valueColumn === undefined ? numeric : at(columns.valueColumn);
  if (value < 0) throw fail('TG_PLAN_SERIES_EMPTY', { file, rows: 0 });
  const rows: { ms: number; value: number }[] = [];
  for (const [i, line] of lines.entries()) {
    if (i === 0 || line.trim() === '') continue;
    const cells = cellsOf(line);
    const ms = parseTimestampMs(cells[time] ?? '');
    const cell = cells[value] ?? '';
    const amount = cell === '' ? Number.NaN : Number(cell);
    const bad = (column: number, expected: string) =>
      fail('TG_PLAN_SERIES_VALUE', {
        file,
        line: i + 1,
        text: cells[column] ?? '',
        column: header[column] ?? '',
        expected,
      });
    if (!Number.isFinite(ms)) throw bad(time, 'a time');
    // An empty cell is a gap, not an error; a word or a negative demand is one.
    if (cell === '' || cell.toLowerCase() === 'nan') continue;
    if (!Number.isFinite(amount) || amount < 0) throw bad(value, 'a demand of at least 0');
    rows.push({ ms, value: amount });
  }
  if (rows.length < 2) throw fail('TG_PLAN_SERIES_EMPTY', { file, rows: rows.length });
  return { ...regular(rows), timestampColumn: header[time]!, valueColumn: header[value]! };
}

/** Puts rows on the grid of their most usual distance. */
function regular(
  rows: { ms: number; value: number }[],
): Pick<Series, 'startMs' | 'stepMs' | 'values' | 'filledSteps'> {
  rows.sort((a, b) => a.ms - b.ms);
  const distances = rows.slice(1).map((row, i) => row.ms - rows[i]!.ms);
  const positive = distances.filter((distance) => distance > 0).sort((a, b) => a - b);
  const stepMs = positive[Math.floor(positive.length / 2)] ?? 300_000;
  const startMs = rows[0]!.ms;
  const steps = Math.round((rows.at(-1)!.ms - startMs) / stepMs) + 1;
  const sums = new Float64Array(steps);
  const counts = new Int32Array(steps);
  for (const row of rows) {
    const i = Math.round((row.ms - startMs) / stepMs);
    sums[i]! += row.value;
    counts[i]! += 1;
  }
  const values = sums.map((sum, i) => (counts[i]! > 0 ? sum / counts[i]! : Number.NaN));
  let filledSteps = 0;
  for (let i = 0; i < steps; i += 1) {
    if (!Number.isNaN(values[i]!)) continue;
    let end = i;
    while (Number.isNaN(values[end]!)) end += 1;
    const left = values[i - 1]!;
    const gap = end - i + 1;
    for (let k = i; k < end; k += 1) values[k] = left + ((values[end]! - left) * (k - i + 1)) / gap;
    filledSteps += end - i;
    i = end;
  }
  return { startMs, stepMs, values, filledSteps };
}

/** @throws TG_PLAN_SERIES_READ and those of {@link parseSeries} */
export function readSeries(file: string, columns: SeriesColumns = {}): Series {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fail('TG_PLAN_SERIES_READ', { file, reason: messageOf(error) }, error);
  }
  return parseSeries(text, file, columns);
}
