import type { EndpointSummary } from './types.js';

const TRANSPORTS: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  47: 'gre',
  50: 'esp',
  58: 'icmp',
  132: 'sctp',
};
const BULK_OCTETS = 64 * 1024;
const ONE_SIDED = 4;
const STREAM_SECONDS = 4;
const STREAM_OCTETS_PER_SECOND = 2.5e6;
const SMALL_OCTETS = 2048;

/** `tcp/443`, `icmp`, `ethernet 0806`: what people call the service by its headers. */
export function serviceName(protocol: number, port: number, key = ''): string {
  if (key.startsWith('ethernet/')) return `ethernet ${key.slice(9)}`;
  if (key.startsWith('unparsed/')) return 'unparsed';
  const transport = TRANSPORTS[protocol] ?? `protocol ${protocol}`;
  return port > 0 ? `${transport}/${port}` : transport;
}

/** Sums over the flows of a workload that a name can be read off. */
export type Behaviour = Pick<
  EndpointSummary,
  'flows' | 'octets' | 'packets' | 'reverseOctets' | 'reversePackets' | 'durationMs'
>;

/** A few words on how a service is used, from its volumes and directions. */
export function behaviourWords(of: Behaviour): string {
  const flows = Math.max(1, of.flows);
  const up = of.octets / flows;
  const down = of.reverseOctets / flows;
  if (of.reversePackets === 0) return of.packets / flows < 2 ? 'unanswered' : 'one-way';
  const seconds = of.durationMs / 1000 / flows;
  if (up + down > BULK_OCTETS) {
    if (up > ONE_SIDED * down) return 'bulk upload';
    if (down <= ONE_SIDED * up) return 'bulk exchange';
    return seconds > STREAM_SECONDS && down / seconds < STREAM_OCTETS_PER_SECOND
      ? 'streaming'
      : 'bulk download';
  }
  return up + down < SMALL_OCTETS ? 'small exchanges' : 'request/response';
}
