import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askDaemon } from '../../src/cli/daemon.js';
import type { DaemonInfo } from '../../src/config/runtime-file.js';
import type { GatewayStatus } from '../../src/pipeline/status.js';
import { MIGRATIONS, Store, storeConfig } from '../../src/store/index.js';
import { bpfSkipReason } from '../support/privileges.js';

const root = join(import.meta.dirname, '..', '..');
const cli = join(root, 'dist', 'cli', 'main.js');
const skip = bpfSkipReason();

interface LabReport {
  readonly packets: {
    readonly seen: number;
    readonly stored: number;
    readonly resident: number;
    readonly lost: number;
  };
  readonly flows: number;
  readonly workloads: number;
  readonly forecasts: number;
  readonly plan: { readonly id: string; readonly costUsd: number; readonly doNothingUsd: number };
  readonly records: { readonly written: number };
  readonly durationSeconds: number;
}

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

describe.skipIf(skip !== undefined)(
  `the lab, end to end${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-lab-'));
    const environment = { ...process.env, TIDEGATE_RUN_DIRECTORY: join(directory, 'run'), NO_COLOR: '1' };

    const start = (...options: string[]): Run => {
      const child = spawn(
        'node',
        [cli, 'lab', '--name', `e2e${process.pid}`, '--data-directory', join(directory, 'data'), ...options],
        { env: environment, stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk;
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk;
      });
      return {
        child,
        ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr }))),
      };
    };
    const run = (...command: string[]): string =>
      execFileSync('node', [cli, ...command], { env: environment, encoding: 'utf8' });
    const json = <T>(...command: string[]): T => JSON.parse(run(...command, '--output', 'json')) as T;
    const namespaces = (): string[] => {
      try {
        return readdirSync('/run/netns').filter((name) => name.includes(`e2e${process.pid}`));
      } catch {
        return [];
      }
    };

    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    describe('while it runs', () => {
      let lab: Run;
      let report: LabReport;

      beforeAll(async () => {
        lab = start('--seconds', '45', '--season', '15', '--output', 'json');
        await new Promise((resolve) => setTimeout(resolve, 32_000));
      });

      test('status shows conservation and what was recognised', () => {
        const status = json<GatewayStatus>('status');
        expect(status.packets.seen).toBeGreaterThan(1000);
        expect(status.packets.lost).toBe(0);
        expect(status.interfaces.map((i) => [i.linkId, i.mode])).toEqual([
          ['private', 'native'],
          ['public-a', 'native'],
          ['public-b', 'native'],
        ]);
        expect(run('status')).toMatch(/packets {3}seen [\d,]+ {3}stored [\d,]+ {3}resident [\d,]+ {3}lost 0/);
      });

      test('every command answers from the running gateway, and a plan that is approved is applied', async () => {
        const [counted] = json<{ n: number | string }[]>('query', 'SELECT count() AS n FROM flows');
        expect(Number(counted?.n)).toBeGreaterThan(10);
        expect(
          json<unknown[]>('flows', 'top', '--by', 'workload', '--since', '1h').length,
        ).toBeGreaterThanOrEqual(4);
        expect(json<unknown[]>('workloads', 'list').length).toBeGreaterThanOrEqual(4);
        expect(run('forecast', 'show')).not.toBe('');
        expect(run('plan', 'show')).toMatch(/\$/);
        const asked = Date.now();
        const made = json<{ id: string; createdMs: number }>('plan', 'create');
        expect(made.createdMs).toBeGreaterThanOrEqual(asked);
        expect(json<{ id: string }>('plan', 'show', made.id.slice(0, 12)).id).toBe(made.id);
        const info = JSON.parse(
          readFileSync(join(directory, 'run', `e2e${process.pid}.json`), 'utf8'),
        ) as DaemonInfo;
        await askDaemon(info, `/api/plans/${made.id}/approve`, {});
        await askDaemon(info, `/api/plans/${made.id}/apply`, {});
      });

      test('it ends by itself with one JSON object that adds up', async () => {
        const { code, stdout, stderr } = await lab.ended;
        expect(code, stderr).toBe(0);
        report = JSON.parse(stdout) as LabReport;
        const { seen, stored, resident, lost } = report.packets;
        expect(lost).toBe(0);
        expect(stored + resident).toBe(seen);
        expect(resident).toBe(0);
        expect(report.workloads).toBeGreaterThanOrEqual(4);
        expect(report.forecasts).toBeGreaterThan(0);
        expect(report.plan.id).toMatch(/^[0-9a-f]{12,}$/);
        expect(report.plan.costUsd).toBeLessThanOrEqual(report.plan.doNothingUsd);
        expect(report.records.written).toBeGreaterThan(0);
        expect(report.durationSeconds).toBeGreaterThanOrEqual(45);
        expect(namespaces()).toEqual([]);
      });

      test('every table of its history is filled, with what belongs together', async () => {
        const store = new Store({
          config: storeConfig.parse({}),
          dataDirectory: join(directory, 'data'),
          gateway: `e2e${process.pid}`,
          logger: pino({ level: 'silent' }),
        });
        await store.start();
        try {
          const ask = (sql: string): Promise<Record<string, unknown>[]> => store.client.query(sql);
          const tables = MIGRATIONS.flatMap(({ statements }) => statements).flatMap((statement) =>
            statement.kind === 'table' ? [statement.name] : [],
          );
          const rows = await Promise.all(
            tables.map(async (table) => [
              table,
              (await ask(`SELECT toUInt32(count()) AS n FROM ${table}`))[0]?.n,
            ]),
          );
          // Nobody tells the lab's gateway of CPU and memory: that needs a Prometheus (test/usage has one).
          expect(rows.filter(([, n]) => n === 0)).toEqual([['resource_usage', 0]]);
          const [sums] = await ask(
            `SELECT (SELECT sum((octetsOut + octetsIn) * samplingPacketInterval) FROM flows) AS flows,
               (SELECT sum(octetsOut + octetsIn) FROM usage_1s) AS usage_1s, (SELECT sum(octetsOut + octetsIn) FROM usage_1m) AS usage_1m,
               (SELECT sum(octetsOut + octetsIn) FROM usage_5m) AS usage_5m, (SELECT sum(octetsOut + octetsIn) FROM usage_1h) AS usage_1h,
               (SELECT toString(sum(packetDeltaCount + reversePacketDeltaCount)) FROM flows) AS packets`,
          );
          const { packets, ...octets } = sums!;
          expect(new Set(Object.values(octets)).size, JSON.stringify(octets)).toBe(1);
          expect(Number(packets)).toBe(report.packets.stored);
          // By workload: whatever has traffic, a fingerprint, a forecast or a reference vector is a workload that is known.
          for (const table of ['usage_1h', 'fingerprints', 'forecasts', 'reference_fingerprints']) {
            const strangers = await ask(
              `SELECT DISTINCT workloadId FROM ${table} WHERE workloadId != 0 AND (gateway, workloadId) NOT IN (SELECT gateway, workloadId FROM workloads)`,
            );
            expect(strangers, table).toEqual([]);
          }
          const unplanned = await ask(
            'SELECT DISTINCT planId FROM actuations WHERE planId NOT IN (SELECT planId FROM plans)',
          );
          expect(unplanned).toEqual([]);
          const unpriced = await ask(
            "SELECT DISTINCT linkId FROM usage_1h WHERE linkId != '' AND linkId NOT IN (SELECT linkId FROM link_prices)",
          );
          // The private network is the gateway's own; what it costs is in its tariff alone.
          expect(unpriced).toEqual([{ linkId: 'private' }]);
          const [odd] = await ask(
            `SELECT toUInt32(countIf(flowEndNanoseconds < flowStartNanoseconds OR flowEndNanoseconds > now64(9))) AS times,
               toUInt32(countIf(linkId = '')) AS links, toUInt32(countIf(octetsOut + octetsIn < packetsOut + packetsIn)) AS octets,
               toUInt32(countIf(clockCorrectionNanoseconds != 0)) AS clocks,
               (SELECT toUInt32(countIf(abs(arrayDotProduct(fingerprint, fingerprint) - 1) > 1e-3)) FROM fingerprints) AS fingerprints,
               (SELECT toUInt32(countIf(arrayExists(x -> isNaN(x) OR x < 0, median))) FROM forecasts) AS forecasts,
               (SELECT toUInt32(countIf(costUsd > doNothingUsd)) FROM plans) AS plans
             FROM flows WHERE flowKind IN (4, 6)`,
          );
          expect(odd).toEqual({
            times: 0,
            links: 0,
            octets: 0,
            clocks: 0,
            fingerprints: 0,
            forecasts: 0,
            plans: 0,
          });
        } finally {
          await store.stop();
        }
      });
    });

    test('an interrupt leaves no namespace behind and still reports', async () => {
      const lab = start('--season', '10', '--output', 'json');
      await new Promise((resolve) => setTimeout(resolve, 12_000));
      expect(namespaces().length).toBe(4);
      lab.child.kill('SIGINT');
      const { code, stdout, stderr } = await lab.ended;
      expect(code, stderr).toBe(0);
      const { seen, stored, resident, lost } = (JSON.parse(stdout) as LabReport).packets;
      expect(seen).toBe(stored + resident + lost);
      expect(namespaces()).toEqual([]);
    });
  },
);
