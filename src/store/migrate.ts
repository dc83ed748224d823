import type { Logger } from '../base/logger.js';
import type { StoreClient } from './client.js';
import { storeError } from './errors.js';
import { localTable, MIGRATIONS, type Placement, render, type SchemaStatement } from './schema/index.js';

const migrationsTable: SchemaStatement = {
  kind: 'table',
  name: 'schema_migrations',
  columns: `  gateway LowCardinality(String) COMMENT 'the gateway that ran it',
  version UInt32 COMMENT 'number of the migration',
  name String COMMENT 'what it changed',
  applied DateTime64(3, 'UTC') COMMENT 'when it was run first'`,
  engine: 'ReplacingMergeTree',
  version: 'applied',
  layout: 'ORDER BY (version, gateway)',
};

/** Year and release from which on a server has all that the schema and the INSERTs use. */
const MINIMUM: readonly [number, number] = [25, 8];

/** @throws TG_STORE_VERSION */
export async function refuseOldServer(admin: Pick<StoreClient, 'query'>, url: string): Promise<void> {
  const [row] = await admin.query<{ version: string }>('SELECT version() AS version');
  const version = row?.version ?? '';
  const [year = 0, release = 0] = version.split('.').map(Number);
  if (year > MINIMUM[0] || (year === MINIMUM[0] && release >= MINIMUM[1])) return;
  throw storeError('TG_STORE_VERSION', { url, version, minimum: MINIMUM.join('.') });
}

/**
 * Brings a database up to date: every migration is run in order, and recorded the first time. Statements are
 * idempotent, so one that was cut off is simply run again, and a table that somebody dropped comes back.
 *
 * @param admin a client whose default database exists before ours does
 * @param client a client of the database itself
 */
export async function migrate(
  admin: StoreClient,
  client: StoreClient,
  placement: Placement,
  gateway: string,
  logger: Logger,
): Promise<void> {
  const on = placement.cluster === undefined ? '' : ` ON CLUSTER ${placement.cluster}`;
  await admin.command(`CREATE DATABASE IF NOT EXISTS ${placement.database}${on}`);
  for (const statement of render(migrationsTable, placement)) await client.command(statement);
  const rows = await client.query<{ version: number }>('SELECT DISTINCT version FROM schema_migrations');
  const done = new Set(rows.map((row) => Number(row.version)));
  for (const migration of MIGRATIONS) {
    for (const statement of migration.statements.flatMap((one) => render(one, placement))) {
      await client.command(statement);
    }
    if (done.has(migration.version)) continue;
    await client.insertRows('schema_migrations', [
      {
        gateway,
        version: migration.version,
        name: migration.name,
        applied: new Date().toISOString(),
      },
    ]);
    logger.info({ version: migration.version, migration: migration.name }, 'schema migrated');
  }
  await reportDrift(client, placement, logger);
}

/** Says which columns the database has otherwise than this version makes them: rows would be lost or wrong. */
async function reportDrift(client: StoreClient, placement: Placement, logger: Logger): Promise<void> {
  const rows = await client.query<{ table: string; name: string }>(
    'SELECT table, name FROM system.columns WHERE database = {database:String}',
    { params: { database: placement.database } },
  );
  const found = new Set(rows.map((row) => `${row.table}.${row.name}`));
  for (const statement of MIGRATIONS.flatMap((migration) => migration.statements)) {
    if (statement.kind !== 'table') continue;
    const table = localTable(statement.name, placement);
    const expected = [...statement.columns.matchAll(/^ {2}(?!INDEX|CONSTRAINT)(\w+) /gm)].map((m) => m[1]!);
    const missing = expected.filter((name) => !found.has(`${table}.${name}`));
    if (missing.length > 0) {
      logger.error(
        { code: 'TG_STORE_DRIFT', table, missing },
        'the table lacks columns that this version writes; records wait in the spool until they are added',
      );
    }
  }
}
