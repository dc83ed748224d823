import { runInNamespace } from '../namespaces.js';
import type { ScenarioReport } from './report.js';
import { BURST_PORT, monotonicMs, type Stage, sleep } from './stage.js';

/**
 * Takes the link away that all new flows go by. The window is from the last
 * arrival by it to the first one by the other link.
 */
export async function linkDownScenario(stage: Stage): Promise<ScenarioReport> {
  const { host, client: localAddress } = stage;
  const servers = [stage.private, stage.publicA] as const;
  for (const server of servers) await server.ask({ ask: 'receive', host, port: BURST_PORT });
  await stage.weights({ 'public-a': 1 });
  await stage.publicB.ask({ ask: 'flow', host, port: BURST_PORT, localAddress, perSecond: 500 });
  await sleep(1000);
  const downAtMs = monotonicMs();
  await runInNamespace(stage.topology.namespaceOf('gateway'), 'ip link set public-a down\n');
  const isDownMs = monotonicMs();
  await sleep(1500);
  await stage.publicB.ask({ ask: 'end-flow' });
  await sleep(100);
  const [inside = [], outside = []] = await Promise.all(
    servers.map((server) => server.ask<number[]>({ ask: 'arrivals' })),
  );
  await runInNamespace(stage.topology.namespaceOf('gateway'), 'ip link set public-a up\n');
  await stage.linksChanged();
  const lastBefore = outside.filter((time) => time <= isDownMs).at(-1) ?? downAtMs;
  const firstAfter = inside.find((time) => time > downAtMs) ?? Number.POSITIVE_INFINITY;
  return {
    scenario: 'link-down',
    lossWindowMs: Math.max(0, firstAfter - lastBefore),
    consistent: (await stage.steering.verify()).holds,
    journal: stage.journal.all,
  };
}
