import { HtbActuator } from '../../actuate/index.js';
import { runInNamespace } from '../namespaces.js';
import { hostIPv4, LAB_TRANSIT, linkPlan } from '../plan.js';
import type { Sunk } from './prober.js';
import { quantileOf, type ScenarioReport } from './report.js';
import { monotonicMs, type Stage, sleep } from './stage.js';

const PORT = 7200;
const WORKLOAD = 9;
const WINDOW_MS = 100;
const CEILINGS_BPS = [20e6, 40e6, 10e6, 30e6];

/** Octets that arrived in [fromMs, untilMs) as bit/s of payload. */
const rateIn = (sunk: readonly Sunk[], fromMs: number, untilMs: number): number =>
  (sunk.reduce((sum, [at, octets]) => (at >= fromMs && at < untilMs ? sum + octets : sum), 0) * 8000) /
  (untilMs - fromMs);

/** Moves the ceiling of one greedy upload up and down: how soon it holds, and whether anything is lost by it. */
export async function ceilingsScenario(stage: Stage, rounds = 3): Promise<ScenarioReport> {
  const host = LAB_TRANSIT.hosts[0];
  const htb = new HtbActuator({
    links: [{ linkId: 'public-a', interfaceName: linkPlan('public-a').interfaceName }],
    endpointsOf: () => [{ address: host, protocol: 'tcp', port: PORT }],
    netns: stage.topology.gatewayNetns,
  });
  const set = async (index: number): Promise<number> => {
    const rateBps = CEILINGS_BPS[index % CEILINGS_BPS.length]!;
    const allocation = {
      workloadId: WORKLOAD,
      workloadName: 'upload',
      resource: 'bandwidth' as const,
      rateBps,
    };
    await htb.apply(
      {
        planId: `ceiling-${index}`,
        createdMs: Date.now(),
        expiresMs: Date.now() + 3_600_000,
        allocations: [{ ...allocation, target: 'public-a', fromMs: 0, untilMs: Number.MAX_SAFE_INTEGER }],
      },
      stage.journal,
    );
    return rateBps;
  };
  const resent = (): number => stage.private.kernelCounter('snmp', 'Tcp', 'RetransSegs');
  const duplicates = (): number => stage.publicA.kernelCounter('netstat', 'TcpExt', 'TCPDSACKOldSent');
  try {
    await stage.publicA.ask({ ask: 'sink', host, port: PORT });
    await set(CEILINGS_BPS.length - 1);
    const localAddress = hostIPv4(linkPlan('private'), 21);
    await stage.private.ask({ ask: 'pour', host, port: PORT, localAddress });
    await sleep(1500);
    const [resentBefore, duplicatesBefore] = [resent(), duplicates()];
    const periods: { readonly fromMs: number; readonly untilMs: number; readonly rateBps: number }[] = [];
    for (let i = 0; i < rounds * CEILINGS_BPS.length; i += 1) {
      const fromMs = monotonicMs();
      const rateBps = await set(i);
      await sleep(1000);
      periods.push({ fromMs, untilMs: monotonicMs(), rateBps });
    }
    await stage.private.ask({ ask: 'end-pour' });
    const sunk = await stage.publicA.ask<Sunk[]>({ ask: 'sunk' });
    const statistics = await runInNamespace(
      stage.topology.namespaceOf('gateway'),
      'tc -s class show dev public-a\n',
    );
    const delays = periods.map(({ fromMs, untilMs, rateBps }) => {
      for (let at = fromMs; at + WINDOW_MS <= untilMs; at += 5) {
        // Payload is a little less than what the ceiling counts.
        const ratio = rateIn(sunk, at, at + WINDOW_MS) / rateBps;
        if (ratio > 0.75 && ratio < 1.25) return at - fromMs;
      }
      return Number.POSITIVE_INFINITY;
    });
    delays.sort((a, b) => a - b);
    const lost = resent() - resentBefore - (duplicates() - duplicatesBefore);
    return {
      scenario: 'ceilings',
      ceilings: {
        changes: periods.length,
        p50Ms: quantileOf(delays, 0.5),
        maxMs: delays.at(-1) ?? Number.NaN,
        worstRatio: Math.max(
          ...periods.map((p) => rateIn(sunk, p.fromMs + WINDOW_MS, p.untilMs) / p.rateBps),
        ),
      },
      droppedPackets: Number(/\(dropped (\d+)/.exec(statistics)?.[1] ?? Number.NaN),
      lostPackets: Math.max(0, lost),
      journal: stage.journal.all,
    };
  } finally {
    await htb.close();
  }
}
