import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Breach, FileLease, Guard, PlanApplier } from '../../actuate/index.js';
import { runInNamespace } from '../namespaces.js';
import type { ScenarioReport } from './report.js';
import { BURST_PORT, monotonicMs, type Stage, sleep } from './stage.js';

const FLOWS_PER_SECOND = 300;
const LIMIT_MS = 10_000;

/**
 * A plan moves new flows to a side that turns out to be deaf. The guard sees the loss, undoes the plan by itself and
 * holds further ones off.
 */
export async function guardBreachScenario(stage: Stage): Promise<ScenarioReport> {
  const { host, client: localAddress, topology } = stage;
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-guard-'));
  const servers = [stage.private, stage.publicA] as const;
  for (const server of servers) await server.ask({ ask: 'receive', host, port: BURST_PORT });
  const applier = new PlanApplier({
    actuators: [stage.steering],
    journal: stage.journal,
    lease: new FileLease(join(directory, 'lease.json')),
    policy: { mode: 'automatic', maxChangesPerHour: 100, maxShareMoved: 1, blackout: [], pinned: [] },
  });
  const taken = async (): Promise<number[]> =>
    (await Promise.all(servers.map((server) => server.ask<number[]>({ ask: 'arrivals' })))).flat();
  const arrivals: number[] = [];
  let lookedMs = monotonicMs();
  let breach: Breach | undefined;
  let undoneMs = Number.POSITIVE_INFINITY;
  const guard = new Guard({
    applier,
    limits: {
      lossRatio: 0.2,
      queueDrops: Number.POSITIVE_INFINITY,
      rttMs: Number.POSITIVE_INFINITY,
      utilisation: Number.POSITIVE_INFINITY,
      consecutive: 2,
      watchMs: 60_000,
      holdOffMs: 30_000,
      maxHoldOffMs: 60_000,
    },
    read: async () => {
      const [now, got] = [monotonicMs(), await taken()];
      arrivals.push(...got);
      const expected = ((now - lookedMs) / 1000) * FLOWS_PER_SECOND;
      lookedMs = now;
      return [{ of: 'burst', lossRatio: Math.max(0, 1 - got.length / expected) }];
    },
    onBreach: (found) => {
      breach = found;
      undoneMs = monotonicMs();
    },
  });
  try {
    await applier.apply(stage.plan({ private: 1 }));
    await stage.publicB.ask({
      ask: 'flow',
      host,
      port: BURST_PORT,
      localAddress,
      perSecond: FLOWS_PER_SECOND,
    });
    await sleep(1000);
    await taken();
    lookedMs = monotonicMs();
    await runInNamespace(topology.namespaceOf('public-a'), `ip addr del ${host}/32 dev lo\n`);
    const appliedMs = monotonicMs();
    await applier.apply(stage.plan({ 'public-a': 1 }));
    guard.watch();
    await guard.start();
    while (breach === undefined && monotonicMs() - appliedMs < LIMIT_MS) await sleep(50);
    await guard.stop();
    await sleep(300);
    arrivals.push(...(await taken()));
    await stage.publicB.ask({ ask: 'end-flow' });
    const firstAfter = arrivals.find((time) => time > undoneMs) ?? Number.POSITIVE_INFINITY;
    const again = await applier.apply(stage.plan({ 'public-a': 1 })).catch((error: unknown) => String(error));
    return {
      scenario: 'guard-breach',
      lossWindowMs: firstAfter - appliedMs,
      ...(breach === undefined ? {} : { breach: breach.words }),
      heldOff: typeof again === 'string' && again.includes('held off'),
      consistent: (await stage.steering.preview(stage.plan({ private: 1 }))).steps.length === 0,
      journal: stage.journal.all,
    };
  } finally {
    await guard.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
