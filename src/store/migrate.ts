import type { Logger } from '../base/logger.js';
import type { StoreClient } from './client.js';
import { MIGRATIONS } from './schema.js';

/**
 * Brings a database up to date: every migration is run in order, and recorded the first time. Statements are
 * idempotent, so one that was cut off is simply run again.
 *
 * @param admin a client whose default database exists before ours does
 * @param client a client of the database itself
 */
export async function migrate(
  admin: StoreClient,
  client: StoreClient,
  database: string,
  logger: Logger,
): Promise<void> {
  await admin.command(`CREATE DATABASE IF NOT EXISTS ${database}`);
  await client.command(
    `CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, name String, applied DateTime64(3, 'UTC'))
     ENGINE = ReplacingMergeTree(applied) ORDER BY version`,
  );
  const rows = await client.query<{ version: number }>('SELECT DISTINCT version FROM schema_migrations');
  const done = new Set(rows.map((row) => Number(row.version)));
  for (const migration of MIGRATIONS) {
    // A recorded migration is run again as well: it costs little, and brings back a table that somebody dropped.
    for (const statement of migration.statements) await client.command(statement);
    if (done.has(migration.version)) continue;
    await client.insertRows('schema_migrations', [
      { version: migration.version, name: migration.name, applied: new Date().toISOString() },
    ]);
    logger.info({ version: migration.version, migration: migration.name }, 'schema migrated');
  }
}
