import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmbeddedEngine } from '../../src/store/embedded/engine.js';
import { StoreClient } from '../../src/store/index.js';
import { MIGRATIONS, render } from '../../src/store/schema/index.js';
import { logger } from './support.js';

/** The modern engine parses what a cluster would be told; it has no Keeper, so it cannot carry it out. */
describe('the schema on a cluster', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-cluster-'));
  const engine = new EmbeddedEngine({ directory, port: 0, maxMemoryBytes: 2e9, logger });
  let client: StoreClient;
  beforeAll(async () => {
    await engine.start();
    client = new StoreClient({
      url: engine.url,
      user: 'tidegate',
      password: engine.credentials.writer,
      database: 'default',
    });
  });
  afterAll(async () => {
    await client.close();
    await engine.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const statements = MIGRATIONS.flatMap((migration) => migration.statements);
  const placement = { database: 'tidegate', cluster: 'gateways' };

  test('every statement is one that ClickHouse understands, and is meant for the whole cluster', async () => {
    for (const sql of statements.flatMap((statement) => render(statement, placement))) {
      expect(sql).toContain('ON CLUSTER gateways');
      await client.query(`EXPLAIN AST ${sql}`);
    }
  });

  test('every table is replicated, with a Distributed one over it that keeps a gateway on one shard', () => {
    for (const statement of statements) {
      if (statement.kind !== 'table') continue;
      const [local, distributed, ...more] = render(statement, placement);
      expect(more).toEqual([]);
      expect(local).toContain(`tidegate.${statement.name}_local ON CLUSTER`);
      expect(local).toMatch(/ENGINE = Replicated\w*MergeTree\('\/clickhouse\/tables\/\{shard\}\//);
      expect(local).not.toContain('non_replicated_deduplication_window');
      expect(local!.includes('replicated_deduplication_window')).toBe(statement.deduplicated === true);
      expect(distributed).toContain(
        `Distributed(gateways, tidegate, ${statement.name}_local, cityHash64(gateway))`,
      );
      expect(statement.columns).toMatch(/^ {2}gateway /m);
    }
  });

  test('rollups read and write the shard, so that a block and its rollups share one token', () => {
    for (const statement of statements) {
      if (statement.kind !== 'rollup') continue;
      const [sql] = render(statement, placement);
      expect(sql).toContain(`TO tidegate.${statement.to}_local`);
      expect(sql).toContain(`FROM tidegate.${statement.from}_local`);
    }
  });
});
