import type { ChatResult } from './prober.js';
import { quantileOf, type ScenarioReport } from './report.js';
import { BURST_PORT, monotonicMs, type Stage, sleep } from './stage.js';

export interface SteerOptions {
  readonly changes?: number;
  readonly everyMs?: number;
  readonly connections?: number;
  /** Messages a second and connection: about four packets each on the wire. */
  readonly messagesPerSecond?: number;
}

/**
 * Moves all new flows of a service from one link to the other and back, many times, under TCP conversations that must
 * not notice. The conversations' kernels are the judges of loss and order; a moved one would meet a server that does
 * not know it and be reset.
 */
export async function steerScenario(stage: Stage, options: SteerOptions = {}): Promise<ScenarioReport> {
  const { changes = 50, everyMs = 200, connections = 25, messagesPerSecond = 60 } = options;
  const { host, client: localAddress } = stage;
  const servers = [stage.private, stage.publicA] as const;
  for (const [index, server] of servers.entries()) {
    await server.ask({ ask: 'receive', host, port: BURST_PORT });
    await server.ask({ ask: 'serve', host, port: BURST_PORT, name: index === 0 ? 'private' : 'public-a' });
  }
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
  const chat = { ask: 'chat', host, port: BURST_PORT, localAddress, count: connections } as const;
  await stage.publicB.ask({ ...chat, perSecond: messagesPerSecond });
  await stage.publicB.ask({ ask: 'flow', host, port: BURST_PORT, localAddress, perSecond: 1000 });
  const [packetsBefore, dropsBefore, began] = [stage.gatewayPackets(), stage.interfaceDrops(), monotonicMs()];
  const flips: { readonly atMs: number; readonly to: number }[] = [];
  for (let i = 0; i < changes; i += 1) {
    await sleep(everyMs);
    const to = (i + 1) % 2;
    const atMs = monotonicMs();
    await stage.weights(to === 0 ? { private: 1 } : { 'public-a': 1 });
    flips.push({ atMs, to });
  }
  await sleep(everyMs);
  const packetsPerSecond = ((stage.gatewayPackets() - packetsBefore) * 1000) / (monotonicMs() - began);
  await stage.publicB.ask({ ask: 'end-flow' });
  const result = await stage.publicB.ask<ChatResult>({ ask: 'end-chat' });
  const arrivals = await Promise.all(servers.map((server) => server.ask<number[]>({ ask: 'arrivals' })));
  const delays = flips
    .map(({ atMs, to }) => (arrivals[to]?.find((time) => time > atMs) ?? Number.POSITIVE_INFINITY) - atMs)
    .sort((a, b) => a - b);
  return {
    scenario: 'steer',
    steering: {
      changes,
      p50Ms: quantileOf(delays, 0.5),
      p99Ms: quantileOf(delays, 0.99),
      maxMs: delays.at(-1) ?? Number.NaN,
    },
    lostPackets: Math.max(0, resent() - resentBefore - (duplicates() - duplicatesBefore)),
    interfaceDrops: stage.interfaceDrops() - dropsBefore,
    resentPackets: resent() - resentBefore,
    reorderedPackets: count('netstat', 'TcpExt', 'TCPOFOQueue') - outOfOrderBefore,
    movedFlows: result.broken + (result.unanswered > 0 ? 1 : 0),
    packetsPerSecond: Math.round(packetsPerSecond),
    journal: stage.journal.all,
  };
}
