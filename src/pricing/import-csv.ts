import { fail } from './errors.js';
import { type Tariff, type TariffSettings, tariffSchema } from './schema.js';

const COLUMNS = ['tariffId', 'description', 'source', 'date', 'fromGb', 'usdPerGb'] as const;

/**
 * Tariffs from CSV, one line a tier: `tariffId,description,source,date,fromGb,usdPerGb`. The lines of a tariff may be
 * in any order; their tiers must begin at 0 and not repeat.
 *
 * @throws TG_PRICING_IMPORT with the line
 */
export function importCsv(text: string, file: string): Tariff[] {
  const lines = text.split(/\r?\n/);
  const problem = (line: number, words: string) =>
    fail('TG_PRICING_IMPORT', { file: `${file}:${line}`, problem: words });
  const header = (lines[0] ?? '').split(',').map((cell) => cell.trim());
  if (COLUMNS.some((column) => !header.includes(column))) {
    throw problem(1, `the header must name ${COLUMNS.join(', ')}`);
  }
  const at = Object.fromEntries(COLUMNS.map((column) => [column, header.indexOf(column)]));
  const rows = new Map<string, { line: number; cells: string[]; fromGb: number; usdPerGb: number }[]>();
  for (const [i, line] of lines.entries()) {
    if (i === 0 || line.trim() === '') continue;
    const cells = line.split(',').map((cell) => cell.trim());
    if (cells.length !== header.length)
      throw problem(i + 1, `expected ${header.length} cells, found ${cells.length}`);
    const number = (column: 'fromGb' | 'usdPerGb'): number => {
      const cell = cells[at[column]!]!;
      const value = Number(cell);
      if (cell === '' || !Number.isFinite(value) || value < 0) {
        throw problem(i + 1, `${column} must be a number of at least 0, not "${cell}"`);
      }
      return value;
    };
    const id = cells[at.tariffId!]!;
    const row = { line: i + 1, cells, fromGb: number('fromGb'), usdPerGb: number('usdPerGb') };
    rows.set(id, [...(rows.get(id) ?? []), row]);
  }
  return [...rows].map(([tariffId, tiers]) => {
    tiers.sort((a, b) => a.fromGb - b.fromGb);
    const first = tiers[0]!;
    if (first.fromGb !== 0) throw problem(first.line, `the first tier of ${tariffId} must begin at 0`);
    const settings: TariffSettings = {
      tariffId,
      description: first.cells[at.description!]!,
      source: first.cells[at.source!]!,
      date: first.cells[at.date!]!,
      egress: tiers.map(({ usdPerGb }, i) => {
        const next = tiers[i + 1];
        return next === undefined ? { usdPerGb } : { usdPerGb, upToGb: next.fromGb };
      }),
    };
    const parsed = tariffSchema.safeParse(settings);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0]!;
    throw problem(first.line, `${issue.path.join('.')}: ${issue.message}`);
  });
}
