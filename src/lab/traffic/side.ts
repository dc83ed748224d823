import type { LabLinkId } from '../plan.js';
import { LATENCY_BUCKETS } from './latency.js';
import type { SideReport } from './messages.js';
import type { WorkloadSpec } from './workloads.js';

/** A client of a workload: offered its current load ten to fifty times a second. */
export interface TrafficClient {
  readonly report: SideReport;
  /** @param load the workload's peak × level × scale, in the unit of its kind (see WorkloadSpec.peak) */
  tick(nowMs: number, load: number): void;
  /** Starts nothing new and ends what is open. */
  stop(): void;
}

export interface TrafficServer {
  readonly report: SideReport;
  listen(): Promise<void>;
  tick(nowMs: number): void;
  stop(): void;
}

export const emptyReport = (node: LabLinkId, spec: WorkloadSpec, side: 'client' | 'server'): SideReport => ({
  node,
  workload: spec.name,
  side,
  sentOctets: 0,
  receivedOctets: 0,
  connections: 0,
  exchanges: 0,
  errors: 0,
  latency:
    side === 'client' && (spec.kind === 'exchange' || spec.kind === 'dns')
      ? new Array<number>(LATENCY_BUCKETS).fill(0)
      : [],
});

export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

/** The server address to use from a client address: one of the same family. */
export const serverFor = (spec: WorkloadSpec, clientAddress: string): string =>
  spec.serverAddresses.find((address) => familyOf(address) === familyOf(clientAddress)) ??
  spec.serverAddresses[0]!;

/** Octets to send, not compressible, made once. */
export function payload(random: () => number, octets = 65_536): Buffer {
  const buffer = Buffer.allocUnsafe(octets);
  for (let i = 0; i < octets; i += 1) buffer[i] = (random() * 256) | 0;
  return buffer;
}
