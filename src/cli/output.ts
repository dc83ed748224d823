import type { CliContext, OutputFormat } from './context.js';

export type Cell = string | number | bigint | boolean | null | undefined;

export interface TableColumn<Row> {
  readonly title: string;
  readonly value: (row: Row) => Cell;
  /** For people; json and csv carry `value` as it is. */
  readonly show?: (row: Row) => string;
  readonly align?: 'left' | 'right';
}

const plain = (value: Cell): string => (value === null || value === undefined ? '' : String(value));

const csvCell = (value: Cell): string => {
  const text = plain(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const cellOf = (value: unknown): Cell => {
  if (Array.isArray(value)) return value.join(' ');
  if (typeof value !== 'object' || value === null) return value as Cell;
  return Object.entries(value)
    .map(([name, item]) => `${name}=${String(item)}`)
    .join(' ');
};

/** One line of CSV (RFC 4180, but with LF); a list is one cell, its items apart by spaces; so is an object, `name=item`. */
export const csvLine = (values: readonly unknown[]): string =>
  `${values.map((value) => csvCell(cellOf(value))).join(',')}\n`;

/** Visible width: control sequences do not count. */
const widthOf = (text: string): number => text.replace(/\u001b\[[0-9;]*m/g, '').length;

/** A text table: columns as wide as their widest cell, numbers to the right. */
export function renderTable<Row>(rows: readonly Row[], columns: readonly TableColumn<Row>[]): string {
  const cells = rows.map((row) => columns.map((column) => column.show?.(row) ?? plain(column.value(row))));
  const widths = columns.map((column, i) =>
    Math.max(widthOf(column.title), ...cells.map((line) => widthOf(line[i]!))),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => {
        const fill = ' '.repeat(widths[i]! - widthOf(text));
        return columns[i]!.align === 'right' ? fill + text : text + fill;
      })
      .join('  ')
      .trimEnd();
  return `${[line(columns.map((c) => c.title)), ...cells.map(line)].join('\n')}\n`;
}

/** JSON with bigint as exact decimal strings when they do not fit a double. */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? (Number.isSafeInteger(Number(item)) ? Number(item) : item.toString()) : item,
  );

/** Prints rows in the asked format: an aligned table, a JSON array, or CSV with a header line. */
export function printRows<Row>(
  context: CliContext,
  output: OutputFormat,
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
): void {
  if (output === 'none') return;
  if (output === 'json') {
    const objects = rows.map((row) =>
      Object.fromEntries(columns.map((c) => [c.title, c.value(row) ?? null])),
    );
    context.stdout.write(`${toJson(objects)}\n`);
  } else if (output === 'csv') {
    const lines = [columns.map((c) => c.title), ...rows.map((row) => columns.map((c) => c.value(row)))];
    context.stdout.write(lines.map(csvLine).join(''));
  } else {
    context.stdout.write(renderTable(rows, columns));
  }
}
