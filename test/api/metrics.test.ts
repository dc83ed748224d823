import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { API_REQUESTS, GatewayMetrics, METRICS } from '../../src/api/metrics.js';
import { OBSERVED, Observations, observedName } from '../../src/api/observations.js';
import type { Observed } from '../../src/base/observe.js';
import { quietFigures, quietStatus } from './support.js';

const deploy = join(import.meta.dirname, '..', '..', 'deploy', 'prometheus');
const promtool = (...options: string[]): string =>
  execFileSync('promtool', options, { cwd: deploy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const missing =
  spawnSync('promtool', ['--version']).error === undefined
    ? undefined
    : 'needs promtool (Debian package prometheus)';

const observations = new Observations();
const metrics = new GatewayMetrics(
  () => ({
    status: quietStatus(undefined),
    figures: quietFigures(),
    notReady: {},
    followingPlan: false,
    version: '0.0.0',
  }),
  observations,
);

/** Sum of a metric over its labels. */
const valueIn = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
    (sum, m) => sum + Number(m[1]),
    0,
  );

describe('metrics', () => {
  test('the terms of the conservation law come first and add up', async () => {
    const { text } = await metrics.text();
    const sum =
      valueIn(text, 'tidegate_packets_stored_total') +
      valueIn(text, 'tidegate_packets_resident') +
      valueIn(text, 'tidegate_packets_lost_total') +
      valueIn(text, 'tidegate_packets_unaccounted');
    expect(valueIn(text, 'tidegate_packets_seen_total')).toBe(100);
    expect(sum).toBe(100);
    expect(text.indexOf('tidegate_packets_seen_total')).toBeLessThan(text.indexOf('tidegate_flows_active'));
  });

  test('a second scrape says the same: nothing is counted twice', async () => {
    const gateway = (text: string): string[] =>
      text.split('\n').filter((line) => line.startsWith('tidegate_packets'));
    expect(gateway((await metrics.text()).text)).toEqual(gateway((await metrics.text()).text));
  });

  test('what rooms measure of themselves is shown, also by an API that started later', async () => {
    observations.observe('infer_duration_seconds', 0.003);
    const later = new GatewayMetrics(
      () => ({
        status: quietStatus(undefined),
        figures: quietFigures(),
        notReady: {},
        followingPlan: false,
        version: '0.0.0',
      }),
      observations,
    );
    for (const shown of [await metrics.text(), await later.text()]) {
      expect(valueIn(shown.text, 'tidegate_infer_duration_seconds_count')).toBe(1);
      expect(valueIn(shown.text, 'tidegate_flow_records_total')).toBe(40);
      expect(valueIn(shown.text, 'tidegate_actuation_total')).toBe(2);
    }
  });

  test.skipIf(missing !== undefined)(
    `promtool finds nothing to complain about${missing ? ` (skipped: ${missing})` : ''}`,
    async () => {
      metrics.answered('GET', '/api/status', 200, 0.01);
      const { text } = await metrics.text();
      // Names that prom-client gives to Node's own metrics are not ours to judge.
      const own = text
        .split(/(?=^# HELP )/m)
        .filter((block) => block.startsWith('# HELP tidegate_'))
        .join('');
      const result = spawnSync('promtool', ['check', 'metrics'], { input: `${own}\n`, encoding: 'utf8' });
      expect(result.stdout + result.stderr).toBe('');
      expect(result.status).toBe(0);
    },
  );

  test.skipIf(missing !== undefined)(
    `alert rules fire when they should and not otherwise${missing ? ` (skipped: ${missing})` : ''}`,
    () => {
      expect(promtool('check', 'rules', 'tidegate-alerts.yaml')).toMatch(/SUCCESS: \d+ rules found/);
      expect(promtool('test', 'rules', 'tidegate-alerts.test.yaml')).toMatch(/SUCCESS/);
      expect(promtool('check', 'config', 'prometheus.yaml')).toMatch(/SUCCESS/);
    },
  );

  const dashboard = JSON.parse(readFileSync(join(deploy, 'dashboards', 'tidegate-health.json'), 'utf8')) as {
    panels: { title: string; targets: { expr: string }[] }[];
  };
  const expressions = dashboard.panels.flatMap((panel) => panel.targets.map((target) => target.expr));

  test.skipIf(missing !== undefined)(
    `every panel of the dashboard is an expression${missing ? ` (skipped: ${missing})` : ''}`,
    () => {
      const directory = mkdtempSync(join(tmpdir(), 'tidegate-rules-'));
      const file = join(directory, 'rules.yaml');
      const rules = expressions.map((expr, i) => ({ record: `panel:${i}`, expr }));
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      expect(promtool('check', 'rules', file)).toMatch(new RegExp(`SUCCESS: ${expressions.length} rules`));
      rmSync(directory, { recursive: true });
    },
  );

  test('alerts and dashboard ask for metrics that exist', () => {
    const histograms = [API_REQUESTS, ...(Object.keys(OBSERVED) as Observed[]).map(observedName)];
    const known = new Set([
      ...METRICS.map((m) => m.name),
      ...histograms.flatMap((name) => [name, `${name}_bucket`, `${name}_count`, `${name}_sum`]),
    ]);
    const asked = [
      readFileSync(join(deploy, 'tidegate-alerts.yaml'), 'utf8').replace(
        /annotations:[\s\S]*?(?=- alert|- name|$)/g,
        '',
      ),
      ...expressions,
    ].flatMap((text) => [...text.matchAll(/\btidegate_[a-z_]+/g)].map((m) => m[0]));
    expect(asked.length).toBeGreaterThan(20);
    for (const name of asked) expect([...known]).toContain(name);
  });
});
