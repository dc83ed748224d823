import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Store, storeConfig } from '../../src/store/index.js';
import { logger } from './support.js';

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets: readonly { readonly rawSql: string }[];
  }[];
}

const FOLDER = new URL('../../deploy/grafana/dashboards/', import.meta.url).pathname;
const dashboards = readdirSync(FOLDER).map(
  (name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Dashboard,
);

describe('the dashboards', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-grafana-'));
  const store = new Store({ config: storeConfig.parse({}), dataDirectory: directory, gateway: 'g', logger });
  beforeAll(() => store.start());
  afterAll(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const panels = dashboards.flatMap((dashboard) =>
    dashboard.panels.map((panel) => [`${dashboard.uid}: ${panel.title}`, panel] as const),
  );
  test.each(panels)('%s asks what the store can answer', async (_name, panel) => {
    expect(panel.targets.length).toBeGreaterThan(0);
    for (const { rawSql } of panel.targets) {
      // The plugin's macro, as the plugin replaces it.
      const sql = rawSql.replace(
        /\$__timeFilter\(([\w.]+)\)/g,
        '$1 >= toDateTime(1700000000) AND $1 <= toDateTime(1800000000)',
      );
      expect(sql).not.toContain('$__');
      await store.reader.query(sql);
    }
  });

  test('panels have numbers of their own and do not lie on each other', () => {
    for (const { panels: all } of dashboards) {
      expect(new Set(all.map((panel) => panel.id)).size).toBe(all.length);
      for (const [i, a] of all.entries()) {
        for (const b of all.slice(i + 1)) {
          const [p, q] = [a.gridPos, b.gridPos];
          const apart = p.x + p.w <= q.x || q.x + q.w <= p.x || p.y + p.h <= q.y || q.y + q.h <= p.y;
          expect(apart, `${a.title} and ${b.title}`).toBe(true);
        }
      }
    }
  });
});
