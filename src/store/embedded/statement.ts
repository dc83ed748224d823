/** What the HTTP front has to know of a statement; everything else is the engine's business. */
export interface Statement {
  /** The statement without its FORMAT clause. */
  readonly sql: string;
  readonly format: string | undefined;
  readonly kind: 'insert' | 'select' | 'other';
}

/** FORMAT at the end, with the SETTINGS that may follow it. */
const TRAILING_FORMAT = /\bFORMAT\s+([A-Za-z]\w*)(\s+SETTINGS\s[^()]*?)?\s*;?\s*$/i;
const LEADING_COMMENTS = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/;

/**
 * Splits a statement as it came over HTTP. An INSERT's inline data follows its FORMAT clause, so that one is looked
 * for at the end of the head only; `INSERT … SELECT` and `INSERT … VALUES` have no data part of their own.
 */
export function readStatement(text: string): Statement {
  const body = text.replace(LEADING_COMMENTS, '');
  const word = /^[a-z]+/i.exec(body)?.[0]?.toLowerCase() ?? '';
  const match = TRAILING_FORMAT.exec(body);
  const sql = match ? `${body.slice(0, match.index).trimEnd()}${match[2] ?? ''}` : body.replace(/;\s*$/, '');
  const kind = word === 'insert' ? 'insert' : ['select', 'with'].includes(word) ? 'select' : 'other';
  return { sql, format: match?.[1], kind };
}

/** A value as the right side of `SET name = …`. */
export const settingLiteral = (value: string): string =>
  /^-?\d+(\.\d+)?$/.test(value) ? value : `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** An INSERT's head and its SETTINGS clause (empty when it has none). */
export function splitSettings(sql: string): readonly [head: string, settings: string] {
  const at = /\bSETTINGS\b(?=[^']*(?:'[^']*'[^']*)*$)/i.exec(sql)?.index;
  return at === undefined ? [sql, ''] : [sql.slice(0, at).trimEnd(), sql.slice(at)];
}
