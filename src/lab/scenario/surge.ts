import { SurgeRule } from '../../actuate/index.js';
import { runInNamespace } from '../namespaces.js';
import { latencyQuantileMs } from '../traffic/latency.js';
import { LabTraffic, type TrafficReport } from '../traffic/traffic.js';
import type { ScenarioReport } from './report.js';
import { monotonicMs, type Stage, sleep } from './stage.js';

export interface SurgeOptions {
  /** What the private link can carry. Default 4 Mbit/s. */
  readonly capacityBps?: number;
  /** Request latency that p99 should stay under. Default 100 ms. */
  readonly goalMs?: number;
  /** How much the crowd multiplies the load. */
  readonly factor?: number;
}

const SAMPLE_MS = 250;
const LEARN_MS = 3_000;
const LIMIT_MS = 15_000;

const latencies = (report: TrafficReport): readonly number[] =>
  report.sides.find((side) => side.workload === 'web' && side.side === 'client')?.latency ?? [];

const publicFlows = (report: TrafficReport): number =>
  report.sides.find((side) => side.workload === 'web' && side.node === 'public-a')?.connections ?? 0;

/**
 * A flash crowd comes to a service whose private link is small. The reactive rule sees the live rate leave the band
 * of the quiet time before, and lets new flows be served from the public side.
 */
export async function surgeScenario(stage: Stage, options: SurgeOptions = {}): Promise<ScenarioReport> {
  const { capacityBps = 4e6, goalMs = 100, factor = 14 } = options;
  const { topology } = stage;
  // The link's capacity, where its packets enter it: in the private network, not in the gateway.
  await runInNamespace(
    topology.namespaceOf('private'),
    'tc qdisc add dev uplink root handle 1: htb default 1\n' +
      `tc class add dev uplink parent 1: classid 1:1 htb rate ${capacityBps}bit ceil ${capacityBps}bit burst 32k cburst 32k quantum 1514\n` +
      // A router's queue of about 200 ms.
      `tc qdisc add dev uplink parent 1:1 pfifo limit ${Math.ceil((capacityBps / 8 / 1500) * 0.2)}\n`,
  );
  const traffic = new LabTraffic({
    topology,
    workloads: ['web'],
    seasonMs: 3_600_000,
    epochMs: Date.now() - 1_800_000,
  });
  await stage.weights({ private: 1 });
  await traffic.start();
  try {
    return await watch(stage, traffic, { capacityBps, goalMs, factor });
  } finally {
    await traffic.stop();
    await runInNamespace(topology.namespaceOf('private'), 'tc qdisc del dev uplink root\n');
  }
}

async function watch(
  stage: Stage,
  traffic: LabTraffic,
  options: Required<SurgeOptions>,
): Promise<ScenarioReport> {
  const { capacityBps, goalMs, factor } = options;
  const rule = new SurgeRule({ capacityBps });
  let octets = stage.receivedFromPrivate();
  let lastMs = monotonicMs();
  let counts = latencies(await traffic.report());
  /** One sample: live rate into the gateway by the private link, and the latency of the requests answered in it. */
  const sample = async (): Promise<{
    rateBps: number;
    p99Ms: number;
    report: TrafficReport;
    atMs: number;
  }> => {
    await sleep(SAMPLE_MS - ((monotonicMs() - lastMs) % SAMPLE_MS));
    const report = await traffic.report();
    const now = stage.receivedFromPrivate();
    const atMs = monotonicMs();
    const rateBps = ((now - octets) * 8000) / (atMs - lastMs);
    const answered = latencies(report).map((count, i) => count - (counts[i] ?? 0));
    [octets, lastMs, counts] = [now, atMs, [...latencies(report)]];
    return { rateBps, p99Ms: latencyQuantileMs(answered, 0.99), report, atMs };
  };
  let before = 0;
  for (const began = monotonicMs(); monotonicMs() - began < LEARN_MS; ) {
    const { rateBps, p99Ms } = await sample();
    rule.learn(rateBps);
    before = Math.max(before, p99Ms);
  }
  traffic.setLoad('web', factor);
  let leftMs = Number.NaN;
  let movedMs = Number.NaN;
  let firstPublicMs = Number.NaN;
  let recoveredMs = Number.NaN;
  let worst = 0;
  let after = Number.NaN;
  for (const began = monotonicMs(); monotonicMs() - began < LIMIT_MS && Number.isNaN(recoveredMs); ) {
    const { rateBps, p99Ms, report, atMs } = await sample();
    worst = Math.max(worst, p99Ms);
    if (Number.isNaN(leftMs) && rateBps > rule.upperBps) leftMs = atMs - SAMPLE_MS; // it left some time in the sample
    if (rule.observe(rateBps) && Number.isNaN(movedMs)) {
      await stage.weights({ 'public-a': 1 });
      movedMs = monotonicMs();
    }
    if (Number.isNaN(firstPublicMs) && publicFlows(report) > 0) firstPublicMs = atMs;
    if (!Number.isNaN(firstPublicMs) && p99Ms > 0 && p99Ms < goalMs) [recoveredMs, after] = [atMs, p99Ms];
  }
  return {
    scenario: 'surge',
    reactionMs: firstPublicMs - leftMs,
    recoveryMs: recoveredMs - firstPublicMs,
    latencyP99Ms: { before, worst, after },
    journal: stage.journal.all,
  };
}
