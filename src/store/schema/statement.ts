/** A table of history. Its engine is replicated on a cluster and plain elsewhere; the rest is the same everywhere. */
export interface TableStatement {
  readonly kind: 'table';
  readonly name: string;
  /** Column and index definitions. */
  readonly columns: string;
  readonly engine: 'MergeTree' | 'AggregatingMergeTree' | 'ReplacingMergeTree';
  /** Version column of a ReplacingMergeTree. */
  readonly version?: string;
  /** PARTITION BY, ORDER BY, TTL. */
  readonly layout: string;
  readonly settings?: readonly string[];
  /** Blocks that are sent again with their token are recognised: for tables that the spool, or a rollup, writes. */
  readonly deduplicated?: boolean;
}

/** A materialized view: each block that arrives in `from` also goes, aggregated, to the table `to`. */
export interface RollupStatement {
  readonly kind: 'rollup';
  readonly to: string;
  readonly from: string;
  /** The query, with `FROM {from} AS t` written as `FROM {from}`. */
  readonly select: string;
}

/** A query with a name, for people. */
export interface ViewStatement {
  readonly kind: 'view';
  readonly name: string;
  readonly select: string;
}

/** Columns that an existing table gets. */
export interface ColumnsStatement {
  readonly kind: 'columns';
  readonly table: string;
  readonly columns: readonly string[];
}

/** Settings that an existing table gets, on the servers that hold its rows. */
export interface SettingsStatement {
  readonly kind: 'settings';
  readonly table: string;
  readonly settings: readonly string[];
}

export type SchemaStatement =
  | TableStatement
  | RollupStatement
  | ViewStatement
  | ColumnsStatement
  | SettingsStatement;

/** Where the schema is made. */
export interface Placement {
  readonly database: string;
  /** Name of a cluster in the servers' configuration; absent = one server, or the embedded engine. */
  readonly cluster?: string | undefined;
}

/** Re-sent blocks are recognised for this many inserts: more than a day at one a second. */
const DEDUPLICATED_INSERTS = 100_000;
const DEDUPLICATED_SECONDS = 7 * 86_400;

/** The table that holds a shard's own rows, where writers write: the table itself, except on a cluster. */
export const localTable = (table: string, placement: Pick<Placement, 'cluster'>): string =>
  placement.cluster === undefined ? table : `${table}_local`;

/**
 * The DDL of one statement at its place. Every statement is idempotent. On a cluster a table `x` becomes a replicated
 * `x_local` on every server and a Distributed `x` over them, so queries are the same in all places.
 */
export function render(statement: SchemaStatement, placement: Placement): string[] {
  const { database, cluster } = placement;
  const on = cluster === undefined ? '' : ` ON CLUSTER ${cluster}`;
  if (statement.kind === 'view') {
    return [`CREATE OR REPLACE VIEW ${database}.${statement.name}${on} AS\n${statement.select}`];
  }
  if (statement.kind === 'rollup') {
    const from = `${database}.${localTable(statement.from, placement)}`;
    const to = `${database}.${localTable(statement.to, placement)}`;
    return [
      `CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.${statement.to}_view${on} TO ${to} AS\n${statement.select.replaceAll('{from}', from)}`,
    ];
  }
  if (statement.kind === 'columns') {
    const added = statement.columns.map((column) => `ADD COLUMN IF NOT EXISTS ${column}`).join(', ');
    return [...new Set([localTable(statement.table, placement), statement.table])].map(
      (table) => `ALTER TABLE ${database}.${table}${on} ${added}`,
    );
  }
  if (statement.kind === 'settings') {
    const table = `${database}.${localTable(statement.table, placement)}`;
    return [`ALTER TABLE ${table}${on} MODIFY SETTING ${statement.settings.join(', ')}`];
  }
  const { name, columns, layout, version } = statement;
  const local = localTable(name, placement);
  const settings = [...(statement.settings ?? [])];
  if (statement.deduplicated === true && cluster === undefined) {
    settings.push(`non_replicated_deduplication_window = ${DEDUPLICATED_INSERTS}`);
  } else if (statement.deduplicated === true) {
    settings.push(
      `replicated_deduplication_window = ${DEDUPLICATED_INSERTS}`,
      `replicated_deduplication_window_seconds = ${DEDUPLICATED_SECONDS}`,
    );
  }
  const engineArguments = [
    ...(cluster === undefined ? [] : [`'/clickhouse/tables/{shard}/${database}/${local}'`, "'{replica}'"]),
    ...(version === undefined ? [] : [version]),
  ];
  const engine = `${cluster === undefined ? '' : 'Replicated'}${statement.engine}(${engineArguments.join(', ')})`;
  const ending = settings.length === 0 ? '' : `\nSETTINGS ${settings.join(', ')}`;
  const table = `CREATE TABLE IF NOT EXISTS ${database}.${local}${on} (\n${columns}\n) ENGINE = ${engine}\n${layout}${ending}`;
  if (cluster === undefined) return [table];
  return [
    table,
    `CREATE TABLE IF NOT EXISTS ${database}.${name}${on} AS ${database}.${local}\nENGINE = Distributed(${cluster}, ${database}, ${local}, cityHash64(gateway))`,
  ];
}
