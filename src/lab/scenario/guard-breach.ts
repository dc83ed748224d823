import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Breach, FileLease, Guard, LiveReadings, PlanApplier } from '../../actuate/index.js';
import { runInNamespace } from '../namespaces.js';
import { linkPlan } from '../plan.js';
import type { ScenarioReport } from './report.js';
import { BURST_PORT, monotonicMs, type Stage, sleep } from './stage.js';

const FLOWS_PER_SECOND = 300;
const LIMIT_MS = 15_000;
const HOLD_OFF_MS = 1_500;
/** Less than half of what the flows need. */
const NARROW = 'tbf rate 50kbit burst 2000 limit 3000';

/**
 * A plan moves new flows to a link that cannot carry them. The guard reads the drops of the link's queue from the
 * kernel, undoes the plan by itself and holds further ones off; tried again when that is over, the plan is undone
 * again, and held off for twice as long.
 */
export async function guardBreachScenario(stage: Stage): Promise<ScenarioReport> {
  const { host, client: localAddress, topology } = stage;
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-guard-'));
  const { interfaceName } = linkPlan('public-a');
  const servers = [stage.private, stage.publicA] as const;
  for (const server of servers) await server.ask({ ask: 'receive', host, port: BURST_PORT });
  const applier = new PlanApplier({
    actuators: [stage.steering],
    journal: stage.journal,
    lease: new FileLease(join(directory, 'lease.json')),
    policy: { mode: 'automatic', maxChangesPerHour: 100, maxShareMoved: 1, blackout: [], pinned: [] },
  });
  const readings = new LiveReadings({
    links: [{ linkId: 'public-a', interfaceName }],
    netns: topology.gatewayNetns,
  });
  const breaches: Breach[] = [];
  let undoneMs = Number.POSITIVE_INFINITY;
  const guard = new Guard({
    applier,
    limits: {
      lossRatio: 0.2,
      queueDrops: 20,
      rttMs: Number.POSITIVE_INFINITY,
      utilisation: Number.POSITIVE_INFINITY,
      consecutive: 2,
      watchMs: 60_000,
      holdOffMs: HOLD_OFF_MS,
      maxHoldOffMs: 60_000,
    },
    read: () => readings.read(),
    onBreach: (found) => {
      undoneMs = monotonicMs();
      breaches.push(found);
    },
  });
  const breached = async (times: number): Promise<void> => {
    for (const began = monotonicMs(); breaches.length < times && monotonicMs() - began < LIMIT_MS; )
      await sleep(50);
  };
  /** Why it was refused; nothing when it was applied. */
  const move = async (): Promise<string> => {
    try {
      await applier.apply(stage.plan({ 'public-a': 1 }));
    } catch (error) {
      return String(error);
    }
    guard.watch();
    return '';
  };
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
    await runInNamespace(
      topology.namespaceOf('gateway'),
      `tc qdisc add dev ${interfaceName} root ${NARROW}\n`,
    );
    await guard.start();
    const appliedMs = monotonicMs();
    await move();
    await breached(1);
    const firstUndoneMs = undoneMs;
    await sleep(300);
    const arrivals = (
      await Promise.all(servers.map((server) => server.ask<number[]>({ ask: 'arrivals' })))
    ).flatMap((times) => times.filter((time) => time > firstUndoneMs));
    const refused = await move();
    await sleep(HOLD_OFF_MS);
    await move();
    await breached(2);
    await stage.publicB.ask({ ask: 'end-flow' });
    const [breach] = breaches;
    return {
      scenario: 'guard-breach',
      lossWindowMs: Math.min(...arrivals) - appliedMs,
      ...(breach === undefined ? {} : { breach: breach.words }),
      heldOff: refused.includes('held off'),
      holdOffsMs: breaches.map(({ holdOffMs }) => holdOffMs),
      consistent: (await stage.steering.preview(stage.plan({ private: 1 }))).steps.length === 0,
      journal: stage.journal.all,
    };
  } finally {
    await guard.stop();
    await readings.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
