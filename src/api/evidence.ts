import type { StoreClient } from '../store/index.js';

type Parameters = Readonly<Record<string, string | number | readonly string[] | readonly number[]>>;

const literal = (value: Parameters[string]): string =>
  typeof value === 'number'
    ? String(value)
    : typeof value === 'string'
      ? `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
      : `[${value.map(literal).join(', ')}]`;

/** A statement with its parameters filled in, so that it can be run as it is. */
export const fillIn = (sql: string, parameters: Parameters): string =>
  sql
    .replace(/\{(\w+):[^}]+\}/g, (whole, name: string) =>
      parameters[name] === undefined ? whole : literal(parameters[name]),
    )
    .replace(/\s+/g, ' ')
    .trim();

/** Asks the store for one answer and remembers how: every number can be traced to the statement behind it. */
export class Evidence {
  readonly #client: Pick<StoreClient, 'query'>;
  readonly #signal: AbortSignal | undefined;
  readonly #statements: string[] = [];

  constructor(client: Pick<StoreClient, 'query'>, signal?: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  /** What was asked so far, in order; each runs as it stands. */
  get statements(): string[] {
    return [...this.#statements];
  }

  /** Rows as objects; 64-bit integers are strings, so cast them. @throws TG_STORE_QUERY, TG_STORE_UNREACHABLE */
  async query<Row>(sql: string, params: Parameters = {}): Promise<Row[]> {
    this.#statements.push(fillIn(sql, params));
    return this.#client.query<Row>(sql, {
      params,
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
    });
  }
}
