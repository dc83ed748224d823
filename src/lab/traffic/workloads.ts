import {
  hostIPv4,
  hostIPv6,
  LAB_BURST,
  LAB_BURST_CLIENTS,
  LAB_TRANSIT,
  type LabLinkId,
  linkPlan,
} from '../plan.js';
import type { DayShape } from './profile.js';

export type LabWorkload = 'backup' | 'api' | 'streaming' | 'dns' | 'batch' | 'telemetry' | 'web';

/** How two sides talk. */
export type TrafficKind = 'bulk' | 'exchange' | 'stream' | 'dns' | 'datagram';

export interface WorkloadSpec {
  readonly name: LabWorkload;
  readonly kind: TrafficKind;
  readonly clientNode: LabLinkId;
  /** Source addresses, used in turn. */
  readonly clientAddresses: readonly string[];
  readonly serverNodes: readonly LabLinkId[];
  /** Addresses that the servers listen on and clients choose from, one family per client address family. */
  readonly serverAddresses: readonly string[];
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** bulk: bit/s; exchange, dns, datagram: per second; stream: streams at the same time. */
  readonly peak: number;
  readonly shape: DayShape;
  /** exchange: most requests over one connection. */
  readonly maxExchanges?: number;
}

const inside = linkPlan('private');
const a = linkPlan('public-a');
const b = linkPlan('public-b');

/** The lab's workloads: what each looks like on the wire, between whom, and when. */
export const LAB_WORKLOADS: readonly WorkloadSpec[] = [
  {
    name: 'backup', // large uploads, mostly at night
    kind: 'bulk',
    clientNode: 'private',
    clientAddresses: [hostIPv4(inside, 21)],
    serverNodes: ['public-a'],
    serverAddresses: [LAB_TRANSIT.hosts[0]],
    protocol: 'tcp',
    port: 873,
    peak: 8e6,
    shape: { floor: 0.08, bumps: [{ at: 0.1, width: 0.07, height: 0.92 }] },
  },
  {
    name: 'api', // many small request/response exchanges, two humps of a working day
    kind: 'exchange',
    clientNode: 'public-b',
    clientAddresses: [hostIPv4(b, 31), hostIPv4(b, 32), hostIPv6(b, 31)],
    serverNodes: ['private'],
    serverAddresses: [hostIPv4(inside, 31), hostIPv6(inside, 31)],
    protocol: 'tcp',
    port: 8443,
    peak: 120,
    maxExchanges: 20,
    shape: {
      floor: 0.12,
      bumps: [
        { at: 0.42, width: 0.06, height: 0.85 },
        { at: 0.62, width: 0.07, height: 0.75 },
      ],
    },
  },
  {
    name: 'streaming', // steady paced downloads, in the evening
    kind: 'stream',
    clientNode: 'private',
    clientAddresses: [hostIPv4(inside, 41)],
    serverNodes: ['public-b'],
    serverAddresses: [hostIPv4(b, 41)],
    protocol: 'tcp',
    port: 8554,
    peak: 10,
    shape: { floor: 0.15, bumps: [{ at: 0.83, width: 0.08, height: 0.85 }] },
  },
  {
    name: 'dns', // one small question, one small answer
    kind: 'dns',
    clientNode: 'private',
    clientAddresses: [hostIPv4(inside, 53)],
    serverNodes: ['public-a'],
    serverAddresses: [hostIPv4(a, 53)],
    protocol: 'udp',
    port: 53,
    peak: 60,
    shape: { floor: 0.3, bumps: [{ at: 0.55, width: 0.15, height: 0.7 }] },
  },
  {
    name: 'batch', // a job that starts by the clock, twice a day
    kind: 'bulk',
    clientNode: 'private',
    clientAddresses: [hostIPv4(inside, 61)],
    serverNodes: ['public-a'],
    serverAddresses: [LAB_TRANSIT.hosts[1]],
    protocol: 'tcp',
    port: 9092,
    peak: 12e6,
    shape: {
      floor: 0,
      bumps: [
        { at: 0.25, width: 0.04, height: 1, flat: true },
        { at: 0.75, width: 0.04, height: 1, flat: true },
      ],
    },
  },
  {
    name: 'telemetry', // one-way measurements over IPv6
    kind: 'datagram',
    clientNode: 'private',
    clientAddresses: [hostIPv6(inside, 71)],
    serverNodes: ['public-a'],
    serverAddresses: [hostIPv6(a, 71)],
    protocol: 'udp',
    port: 5514,
    peak: 30,
    shape: { floor: 0.7, bumps: [{ at: 0.5, width: 0.2, height: 0.3 }] },
  },
  {
    name: 'web', // one address, served from inside and from public-a
    kind: 'exchange',
    clientNode: 'public-b',
    clientAddresses: LAB_BURST_CLIENTS,
    serverNodes: ['private', 'public-a'],
    serverAddresses: [LAB_BURST.ipv4],
    protocol: 'tcp',
    port: 8080,
    peak: 25,
    maxExchanges: 4,
    shape: { floor: 0.3, bumps: [{ at: 0.5, width: 0.12, height: 0.7 }] },
  },
];

/** A port where nobody listens: datagrams to it make the far kernel answer with ICMP port unreachable. */
export const CLOSED_PORT = 33434;
