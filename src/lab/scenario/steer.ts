import { runFrames } from '../traffic/frame-run.js';
import { framesOf } from './frames.js';
import type { ChatResult } from './prober.js';
import { type Flip, type ScenarioReport, steeringFigures } from './report.js';
import { BURST_PORT, monotonicMs, type Stage, sleep } from './stage.js';

export interface SteerOptions {
  readonly changes?: number;
  readonly everyMs?: number;
  readonly connections?: number;
  /** Messages a second and connection: some eight packets each on the wire. */
  readonly messagesPerSecond?: number;
}

/** New flows a second while a change is under way: one every fifth of a millisecond. */
const PROBES_PER_SECOND = 5_000;
const PROBING_MS = 40;
/** The senders and receivers of the probes have set up by then. */
const SET_UP_MS = 5;
/** Three segments each way. */
const MESSAGE_OCTETS = 3_000;
const PROBES = (PROBES_PER_SECOND * PROBING_MS) / 1000;

/**
 * Moves all new flows of a service from one link to the other and back, many times, under TCP conversations that must
 * not notice. The conversations' kernels are the judges of loss and order; a moved one would meet a server that does
 * not know it and be reset. New flows are frames that the kernel stamps when they arrive, and come around each change
 * only: what is timed is the change, not an event loop or a table full of probes.
 */
export async function steerScenario(stage: Stage, options: SteerOptions = {}): Promise<ScenarioReport> {
  const { changes = 50, everyMs = 200, connections = 25, messagesPerSecond = 40 } = options;
  const { host, client: localAddress } = stage;
  for (const [name, server] of Object.entries({ private: stage.private, 'public-a': stage.publicA }))
    await server.ask({ ask: 'serve', host, port: BURST_PORT, name });
  await stage.weights({ private: 1 });
  const everybody = [stage.private, stage.publicA, stage.publicB];
  const count = (file: 'snmp' | 'netstat', group: string, name: string): number =>
    everybody.reduce((sum, prober) => sum + prober.kernelCounter(file, group, name), 0);
  // Sent again because lost, or because an acknowledgement was late: the receiver's kernel then reports a duplicate.
  const resent = (): number => count('snmp', 'Tcp', 'RetransSegs');
  const duplicates = (): number =>
    count('netstat', 'TcpExt', 'TCPDSACKOldSent') + count('netstat', 'TcpExt', 'TCPDSACKOfoSent');
  const [resentBefore, duplicatesBefore] = [resent(), duplicates()];
  const outOfOrderBefore = count('netstat', 'TcpExt', 'TCPOFOQueue');
  const chat = {
    ask: 'chat',
    host,
    port: BURST_PORT,
    localAddress,
    count: connections,
    octets: MESSAGE_OCTETS,
  } as const;
  await stage.publicB.ask({ ...chat, perSecond: messagesPerSecond });
  const [packetsBefore, dropsBefore, began] = [stage.gatewayPackets(), stage.interfaceDrops(), monotonicMs()];
  const flips: Flip[] = [];
  const firsts: number[][] = [[], []];
  for (let i = 0; i < changes; i += 1) {
    await sleep(everyMs - PROBING_MS);
    const to = (i + 1) % 2;
    const probing = runFrames({
      ...framesOf(stage),
      packetsPerSecond: PROBES_PER_SECOND,
      flows: 1,
      packetsPerFlow: 1,
      milliseconds: PROBING_MS,
      settleMs: 5,
      firstFlow: i * PROBES,
    });
    await sleep(SET_UP_MS);
    flips.push(await stage.flip(to === 0 ? 'private' : 'public-a', to));
    const { firstMs } = await probing;
    for (const [side, times] of firstMs.entries()) firsts[side]?.push(...times);
  }
  await sleep(everyMs);
  const packetsPerSecond = ((stage.gatewayPackets() - packetsBefore) * 1000) / (monotonicMs() - began);
  const result = await stage.publicB.ask<ChatResult>({ ask: 'end-chat' });
  return {
    scenario: 'steer',
    steering: steeringFigures(flips, firsts),
    lostPackets: Math.max(0, resent() - resentBefore - (duplicates() - duplicatesBefore)),
    interfaceDrops: stage.interfaceDrops() - dropsBefore,
    resentPackets: resent() - resentBefore,
    reorderedPackets: count('netstat', 'TcpExt', 'TCPOFOQueue') - outOfOrderBefore,
    movedFlows: result.broken + (result.unanswered > 0 ? 1 : 0),
    packetsPerSecond: Math.round(packetsPerSecond),
    journal: stage.journal.all,
  };
}
