import { linkPlan } from '../plan.js';
import { UPLINK } from '../topology-script.js';
import { runFrames } from '../traffic/frame-run.js';
import { type Flip, type ScenarioReport, steeringFigures } from './report.js';
import { BURST_PORT, monotonicMs, type Stage, sleep } from './stage.js';

export interface FramesOptions {
  readonly changes?: number;
  readonly everyMs?: number;
  readonly packetsPerSecond?: number;
  readonly flows?: number;
}

const LEAD_MS = 500;

/** From the burst service's client, by the gateway, to both sides that serve. */
export const framesOf = ({ topology, client, host }: Stage) =>
  ({
    netns: topology.netnsOf('public-b'),
    device: UPLINK,
    gatewayNetns: topology.gatewayNetns,
    gatewayDevice: linkPlan('public-b').interfaceName,
    source: client,
    destination: host,
    port: BURST_PORT,
    servers: [topology.netnsOf('private'), topology.netnsOf('public-a')],
  }) as const;

/**
 * Moves all new flows of a service from one link to the other and back under many thousand frames a second of
 * thousands of flows that come and go. Each frame says which of its flow it is, so loss, order, and flows that changed
 * sides are counted one by one.
 */
export async function framesScenario(stage: Stage, options: FramesOptions = {}): Promise<ScenarioReport> {
  const { changes = 50, everyMs = 200, packetsPerSecond = 60_000, flows = 2_000 } = options;
  await stage.weights({ private: 1 });
  const dropsBefore = stage.interfaceDrops();
  const run = runFrames({
    ...framesOf(stage),
    packetsPerSecond,
    flows,
    packetsPerFlow: 25,
    milliseconds: LEAD_MS + (changes + 1) * everyMs,
    settleMs: 500,
    firstFlow: 0,
  });
  const began = monotonicMs() + LEAD_MS;
  const flips: Flip[] = [];
  for (let i = 0; i < changes; i += 1) {
    await sleep(began + i * everyMs - monotonicMs());
    const to = (i + 1) % 2;
    flips.push(await stage.flip(to === 0 ? 'private' : 'public-a', to));
  }
  const result = await run;
  return {
    scenario: 'frames',
    steering: steeringFigures(flips, result.firstMs),
    lostPackets: result.sent - result.received,
    interfaceDrops: stage.interfaceDrops() - dropsBefore,
    reorderedPackets: result.reordered,
    movedFlows: result.moved,
    flows: result.flows,
    packetsPerSecond: Math.round(result.sent / result.seconds),
    journal: stage.journal.all,
  };
}
