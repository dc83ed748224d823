import type { TunnelName } from '../../src/capture/meter-options.js';
import { KIND } from './delta.js';
import { type PacketBuilder, packet, TCP } from './packet.js';

/**
 * Golden packets: each row is a sentence, frames, and what the one flow that they make must look like. The kernel's
 * build and the user-space build must both give it, and the same record to the last byte.
 */
export interface GoldenRow {
  readonly name: string;
  readonly tunnels?: readonly TunnelName[];
  readonly headBytes?: number;
  readonly frames: readonly (PacketBuilder | Uint8Array)[];
  readonly key: {
    readonly kind: number;
    readonly lower?: string;
    readonly upper?: string;
    readonly lowerPort?: number;
    readonly upperPort?: number;
    readonly protocol?: number;
    readonly vlan?: number;
    readonly innerVlan?: number;
    readonly tunnelId?: number;
    readonly tunnelKind?: number;
  };
  /** Packets and octets lower → upper and upper → lower. */
  readonly packets: readonly [number, number];
  readonly octets: readonly [number, number];
  /** Other fields of the record, by name. */
  readonly fields?: Readonly<Record<string, readonly number[]>>;
}

const ip = packet().ether().ipv4();
const ip6 = packet().ether().ipv6();
const v4 = { lower: '10.0.0.1', upper: '10.0.0.2', kind: KIND.ipv4 } as const;
const v6 = { lower: '2001:db8:0:0:0:0:0:1', upper: '2001:db8:0:0:0:0:0:2', kind: KIND.ipv6 } as const;
const tcpPorts = { lowerPort: 40000, upperPort: 443, protocol: 6 } as const;
const back = { source: '10.0.0.2', destination: '10.0.0.1' } as const;

export const unparsed = (reason: number, etherType: number) =>
  ({ kind: KIND.unparsed, lowerPort: reason, upperPort: etherType }) as const;

export const GOLDEN: readonly GoldenRow[] = [
  {
    name: 'a TCP segment over IPv4',
    frames: [ip.tcp({ flags: TCP.ACK | TCP.PSH }).payload(100)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [140, 0],
    fields: { first_payload: [100], flag_counts: [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
  },
  {
    name: 'both directions are one flow, the lower address first whoever speaks first',
    frames: [
      packet().ether().ipv4(back).tcp({ sport: 443, dport: 40000 }).payload(1000),
      ip.tcp().payload(10),
    ],
    key: { ...v4, ...tcpPorts },
    packets: [1, 1],
    octets: [50, 1040],
    fields: { first_payload: [-1000, 10], state: [8] },
  },
  {
    name: 'a TCP handshake gives MSS, window scale and round-trip time',
    frames: [
      ip.tcp({ flags: TCP.SYN, options: [2, 4, 5, 180, 1, 3, 3, 7] }),
      packet()
        .ether()
        .ipv4(back)
        .tcp({ sport: 443, dport: 40000, flags: TCP.SYN | TCP.ACK, options: [2, 4, 5, 140, 4, 2, 3, 3, 9] }),
      ip.tcp(),
    ],
    key: { ...v4, ...tcpPorts },
    packets: [2, 1],
    octets: [88, 52],
    fields: { mss: [1460, 1420], window_scale: [8, 10], state: [1 | 4] },
  },
  {
    name: 'FIN from both sides and a reset are remembered',
    frames: [
      ip.tcp({ flags: TCP.FIN | TCP.ACK }),
      packet()
        .ether()
        .ipv4(back)
        .tcp({ sport: 443, dport: 40000, flags: TCP.FIN | TCP.ACK }),
      ip.tcp({ flags: TCP.RST }),
    ],
    key: { ...v4, ...tcpPorts },
    packets: [2, 1],
    octets: [80, 40],
    fields: { state: [16 | 32 | 64] },
  },
  {
    name: 'every TCP flag has its own counter',
    frames: [ip.tcp({ flags: 0xff })],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [40, 0],
    fields: { flag_counts: [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0] },
  },
  {
    name: 'IPv4 options move the transport header',
    frames: [
      packet()
        .ether()
        .ipv4({ options: [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0] })
        .tcp()
        .payload(5),
    ],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [57, 0],
    fields: { first_payload: [5] },
  },
  {
    name: 'Ethernet padding is no payload',
    frames: [packet().ether().ipv4({ totalLength: 40 }).tcp().payload(6)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [40, 0],
    fields: { payload_count: [0] },
  },
  {
    name: 'TTL, window and TOS are kept per direction',
    frames: [
      packet().ether().ipv4({ ttl: 10, tos: 0xb8 }).tcp({ window: 500 }),
      packet().ether().ipv4({ ttl: 12, tos: 0xb8 }).tcp({ window: 700 }),
      packet()
        .ether()
        .ipv4({ ...back, ttl: 250 })
        .tcp({ sport: 443, dport: 40000, window: 9 }),
    ],
    key: { ...v4, ...tcpPorts },
    packets: [2, 1],
    octets: [80, 40],
    fields: {
      ttl_min: [10, 250],
      ttl_max: [12, 250],
      window_min: [500, 9],
      window_max: [700, 9],
      tos: [0xb8, 0],
    },
  },
  {
    name: 'one VLAN tag',
    frames: [packet().ether().vlan(100, { priority: 5 }).ipv4().tcp()],
    key: { ...v4, ...tcpPorts, vlan: 100 },
    packets: [1, 0],
    octets: [40, 0],
  },
  {
    name: 'two VLAN tags, 802.1ad outside',
    frames: [packet().ether().vlan(100, { tpid: 0x88a8 }).vlan(200).ipv4().tcp()],
    key: { ...v4, ...tcpPorts, vlan: 100, innerVlan: 200 },
    packets: [1, 0],
    octets: [40, 0],
  },
  {
    name: 'a third VLAN tag is left as an EtherType',
    frames: [packet().ether().vlan(1).vlan(2).vlan(3).ipv4().tcp()],
    key: { kind: KIND.nonIp, lowerPort: 0x8100, vlan: 1, innerVlan: 2 },
    packets: [1, 0],
    octets: [66, 0],
  },
  {
    name: 'UDP over IPv4',
    frames: [ip.udp().payload(30)],
    key: { ...v4, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [58, 0],
    fields: { first_payload: [30], flag_counts: Array(16).fill(0) },
  },
  {
    name: 'SCTP has ports like TCP',
    frames: [ip.sctp().payload(16)],
    key: { ...v4, lowerPort: 5000, upperPort: 38412, protocol: 132 },
    packets: [1, 0],
    octets: [48, 0],
  },
  {
    name: 'an ICMP echo and its answer are one flow',
    frames: [ip.icmp(8).payload(56), packet().ether().ipv4(back).icmp(0).payload(56)],
    key: { ...v4, lowerPort: 0x0800, upperPort: 0, protocol: 1 },
    packets: [1, 1],
    octets: [84, 84],
  },
  {
    name: 'an ICMPv6 echo and its answer are one flow',
    frames: [
      ip6.icmp(128, 0, 6),
      packet().ether().ipv6({ source: '2001:db8::2', destination: '2001:db8::1' }).icmp(129, 0, 6),
    ],
    key: { ...v6, lowerPort: 0x8000, upperPort: 0, protocol: 58 },
    packets: [1, 1],
    octets: [48, 48],
  },
  {
    name: 'ICMP destination unreachable keeps type and code',
    frames: [ip.icmp(3, 3).payload(28)],
    key: { ...v4, lowerPort: 0x0303, upperPort: 0, protocol: 1 },
    packets: [1, 0],
    octets: [56, 0],
  },
  {
    name: 'a protocol without ports is keyed by addresses and protocol (ESP)',
    frames: [ip.raw(Array(40).fill(1), { protocol: 50 })],
    key: { ...v4, lowerPort: 0, upperPort: 0, protocol: 50 },
    packets: [1, 0],
    octets: [60, 0],
    fields: { payload_count: [0] },
  },
  {
    name: 'TCP over IPv6 with a traffic class',
    frames: [packet().ether().ipv6({ trafficClass: 0x2e, hopLimit: 3 }).tcp().payload(1)],
    key: { ...v6, ...tcpPorts },
    packets: [1, 0],
    octets: [61, 0],
    fields: { tos: [0x2e, 0], ttl_min: [3, 255] },
  },
  {
    name: 'IPv6 extension headers are walked: hop-by-hop, routing, destination',
    frames: [ip6.extension(0).extension(43, 2).extension(60).udp().payload(9)],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [40 + 8 + 24 + 8 + 8 + 9, 0],
    fields: { first_payload: [9] },
  },
  {
    name: 'an IPv6 authentication header counts in 4-octet units',
    frames: [ip6.authentication().tcp()],
    key: { ...v6, ...tcpPorts },
    packets: [1, 0],
    octets: [84, 0],
  },
  {
    name: 'an IPv6 packet without next header is a flow of its own',
    frames: [ip6.payload(4)],
    key: { ...v6, protocol: 59 },
    packets: [1, 0],
    octets: [44, 0],
  },
  {
    name: 'an atomic IPv6 fragment (RFC 6946) is a whole packet',
    frames: [ip6.fragment(7, 0, false).udp().payload(3)],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [59, 0],
  },
  {
    name: 'later IPv4 fragments belong to the flow of their first',
    frames: [
      packet().ether().ipv4({ id: 77, moreFragments: true }).udp({ length: 3000 }).payload(1472),
      packet()
        .ether()
        .ipv4({ id: 77, moreFragments: true, fragmentOffset: 1480, protocol: 17 })
        .payload(1480),
      packet().ether().ipv4({ id: 77, fragmentOffset: 2960, protocol: 17 }).payload(40),
    ],
    key: { ...v4, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [3, 0],
    octets: [1500 + 1500 + 60, 0],
    fields: { first_payload: [1472] },
  },
  {
    name: 'later IPv6 fragments belong to the flow of their first',
    frames: [
      ip6.fragment(99, 0, true).udp({ length: 2000 }).payload(1000),
      ip6.fragment(99, 1008, false).raw(Array(100).fill(2), { protocol: 17 }),
    ],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [2, 0],
    octets: [1204, 0],
  },
  {
    name: 'a later fragment whose first was never seen is metered as a fragment, its payload never read as ports',
    frames: [packet().ether().ipv4({ id: 1234, fragmentOffset: 1480, protocol: 17 }).payload(40, 0xff)],
    key: {
      lower: '10.0.0.1',
      upper: '10.0.0.2',
      kind: KIND.fragment,
      protocol: 17,
      lowerPort: 0,
      upperPort: 0,
    },
    packets: [1, 0],
    octets: [60, 0],
  },
  {
    name: 'ARP is metered by its EtherType',
    frames: [packet().ether({ type: 0x0806 }).payload(46)],
    key: { kind: KIND.nonIp, lowerPort: 0x0806 },
    packets: [1, 0],
    octets: [60, 0],
  },
  {
    name: 'an IEEE 802.3 length is no EtherType',
    frames: [packet().ether({ type: 38 }).payload(46)],
    key: { kind: KIND.nonIp, lowerPort: 0 },
    packets: [1, 0],
    octets: [60, 0],
  },
  {
    name: 'a VLAN tag cut off',
    frames: [packet().ether({ type: 0x8100 }).payload(2)],
    key: unparsed(2, 0x8100),
    packets: [1, 0],
    octets: [16, 0],
  },
  {
    name: 'an IPv4 header cut off',
    frames: [ip.tcp().bytes(30)],
    key: unparsed(3, 0x0800),
    packets: [1, 0],
    octets: [30, 0],
  },
  {
    name: 'an IPv6 header cut off',
    frames: [ip6.tcp().bytes(50)],
    key: unparsed(3, 0x86dd),
    packets: [1, 0],
    octets: [50, 0],
  },
  {
    name: 'an IPv4 header that claims 16 octets',
    frames: [packet().ether().ipv4({ headerWords: 4 }).tcp()],
    key: unparsed(4, 0x0800),
    packets: [1, 0],
    octets: [54, 0],
  },
  {
    name: 'version 6 under the EtherType of IPv4',
    frames: [packet().ether().ipv4({ version: 6 }).tcp()],
    key: unparsed(4, 0x0800),
    packets: [1, 0],
    octets: [54, 0],
  },
  {
    name: 'an IPv6 extension header cut off',
    frames: [ip6.extension(0, 3).tcp().bytes(58)],
    key: unparsed(5, 0x86dd),
    packets: [1, 0],
    octets: [58, 0],
  },
  {
    name: 'more IPv6 extension headers than anyone needs',
    frames: [
      Array.from({ length: 9 })
        .reduce<PacketBuilder>((p) => p.extension(60), ip6)
        .tcp(),
    ],
    key: unparsed(6, 0x86dd),
    packets: [1, 0],
    octets: [146, 0],
  },
  {
    name: 'a TCP header cut off',
    frames: [ip.tcp().bytes(44)],
    key: unparsed(7, 0x0800),
    packets: [1, 0],
    octets: [44, 0],
  },
  {
    name: 'a TCP data offset of 4',
    frames: [ip.tcp({ headerWords: 4 })],
    key: unparsed(8, 0x0800),
    packets: [1, 0],
    octets: [54, 0],
  },
  {
    name: 'TCP options of length zero end the reading of options, nothing else',
    frames: [ip.tcp({ flags: TCP.SYN, options: [2, 0, 3, 3, 7, 0, 0, 0] })],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [48, 0],
    fields: { mss: [0, 0], window_scale: [0, 0] },
  },
  {
    name: 'an IPv4 total length longer than the frame is replaced by what the wire carried',
    frames: [packet().ether().ipv4({ totalLength: 9000 }).tcp().payload(10)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [50, 0],
    fields: { first_payload: [10] },
  },
  {
    name: 'an IPv4 total length of zero (segmentation offload) likewise',
    frames: [packet().ether().ipv4({ totalLength: 0 }).tcp().payload(10)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [50, 0],
  },
  {
    name: 'same addresses on both ends are ordered by port',
    frames: [
      packet().ether().ipv4({ source: '10.0.0.1', destination: '10.0.0.1' }).udp({ sport: 9, dport: 7 }),
    ],
    key: { kind: KIND.ipv4, lower: '10.0.0.1', upper: '10.0.0.1', lowerPort: 7, upperPort: 9, protocol: 17 },
    packets: [0, 1],
    octets: [0, 28],
  },
  {
    name: 'sizes fall into the bins of the configured edges',
    frames: [63, 64, 96, 1471, 1472].map((total) => ip.udp().payload(total - 28)),
    key: { ...v4, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [5, 0],
    octets: [63 + 64 + 96 + 1471 + 1472, 0],
    fields: { size_bins: [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, ...Array(16).fill(0)] },
  },
  {
    name: 'PPPoE sessions are read through, IPv4 and IPv6',
    frames: [packet().ether().pppoe(7).ipv4().tcp().payload(10)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [50, 0],
  },
  {
    name: 'PPPoE over VLAN, IPv6 inside',
    frames: [packet().ether().vlan(5).pppoe(7).ipv6().udp()],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17, vlan: 5 },
    packets: [1, 0],
    octets: [48, 0],
  },
  {
    name: 'MPLS labels are read through to the IP header below',
    frames: [packet().ether().mpls(100).mpls(200).ipv6().tcp()],
    key: { ...v6, ...tcpPorts },
    packets: [1, 0],
    octets: [60, 0],
  },
  {
    name: 'MPLS without IP at the bottom stays MPLS',
    frames: [packet().ether().mpls(100, true).payload(40, 0)],
    key: { kind: KIND.nonIp, lowerPort: 0x8847 },
    packets: [1, 0],
    octets: [58, 0],
  },
  {
    name: 'a PPPoE header cut off',
    frames: [packet().ether({ type: 0x8864 }).payload(5)],
    key: unparsed(9, 0x8864),
    packets: [1, 0],
    octets: [19, 0],
  },
  {
    name: 'VXLAN is its outer flow unless it is to be entered',
    frames: [ip.udp({ dport: 4789 }).vxlan(42).ether().ipv4({ source: '192.168.0.1' }).tcp()],
    key: { ...v4, lowerPort: 40000, upperPort: 4789, protocol: 17, tunnelId: 0, tunnelKind: 0 },
    packets: [1, 0],
    octets: [20 + 8 + 8 + 14 + 40, 0],
  },
  {
    name: 'VXLAN entered: the inner flow, with its network identifier and the octets of the wire',
    tunnels: ['vxlan'],
    frames: [
      ip.udp({ dport: 4789 }).vxlan(42).ether().vlan(9).ipv4({ source: '192.168.0.1' }).tcp().payload(7),
    ],
    key: {
      kind: KIND.ipv4,
      lower: '10.0.0.2',
      upper: '192.168.0.1',
      lowerPort: 443,
      upperPort: 40000,
      protocol: 6,
      tunnelId: 42,
      tunnelKind: 4789,
      vlan: 0,
    },
    packets: [0, 1],
    octets: [0, 20 + 8 + 8 + 14 + 4 + 40 + 7],
    fields: { first_payload: [-7] },
  },
  {
    name: 'Geneve entered, options skipped',
    tunnels: ['geneve'],
    frames: [ip.udp({ dport: 6081 }).geneve(77, 3).ether().ipv6().udp()],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17, tunnelId: 77, tunnelKind: 6081 },
    packets: [1, 0],
    octets: [20 + 8 + 8 + 12 + 14 + 48, 0],
  },
  {
    name: 'GTP-U entered by its tunnel endpoint',
    tunnels: ['gtpu'],
    frames: [ip.udp({ dport: 2152 }).gtpu(0xdeadbeef).ipv4().udp().payload(4)],
    key: { ...v4, lowerPort: 40000, upperPort: 53, protocol: 17, tunnelId: 0xdeadbeef, tunnelKind: 2152 },
    packets: [1, 0],
    octets: [20 + 8 + 8 + 32, 0],
  },
  {
    name: 'GRE with a key entered',
    tunnels: ['gre'],
    frames: [ip.gre({ key: 5 }).ipv6().tcp()],
    key: { ...v6, ...tcpPorts, tunnelId: 5, tunnelKind: 47 },
    packets: [1, 0],
    octets: [20 + 8 + 60, 0],
  },
  {
    name: 'GRE is its outer flow unless it is to be entered',
    frames: [ip.gre({ key: 5 }).ipv6().tcp()],
    key: { ...v4, lowerPort: 0, upperPort: 0, protocol: 47 },
    packets: [1, 0],
    octets: [20 + 8 + 60, 0],
  },
  {
    name: 'enhanced GRE of PPTP is no tunnel that can be entered',
    tunnels: ['gre'],
    frames: [ip.gre({ flags: 0x2001, key: 1, type: 0x880b })],
    key: { ...v4, protocol: 47 },
    packets: [1, 0],
    octets: [28, 0],
  },
  {
    name: '6in4 entered',
    tunnels: ['ip'],
    frames: [ip.ipv6().udp()],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17, tunnelKind: 41 },
    packets: [1, 0],
    octets: [20 + 48, 0],
  },
  {
    name: 'IPv4 in IPv6 entered',
    tunnels: ['ip'],
    frames: [ip6.ipv4().tcp()],
    key: { ...v4, ...tcpPorts, tunnelKind: 4 },
    packets: [1, 0],
    octets: [80, 0],
  },
  {
    name: 'a VXLAN header cut off',
    tunnels: ['vxlan'],
    frames: [ip.udp({ dport: 4789 }).payload(4)],
    key: unparsed(9, 0x0800),
    packets: [1, 0],
    octets: [46, 0],
  },
  {
    name: 'ARP inside VXLAN is not IP, with the network identifier',
    tunnels: ['vxlan'],
    frames: [ip.udp({ dport: 4789 }).vxlan(3).ether({ type: 0x0806 }).payload(28)],
    key: { kind: KIND.nonIp, lowerPort: 0x0806, tunnelId: 3, tunnelKind: 4789 },
    packets: [1, 0],
    octets: [14 + 20 + 8 + 8 + 14 + 28, 0],
  },
  {
    name: 'a third tunnel inside two others is a packet of the second',
    tunnels: ['ip'],
    frames: [ip.ipv4().ipv4({ source: '10.3.0.1' }).ipv4().tcp()],
    key: { kind: KIND.ipv4, lower: '10.0.0.2', upper: '10.3.0.1', protocol: 4, tunnelKind: 4 },
    packets: [0, 1],
    octets: [0, 100],
  },
  {
    name: 'a jumbo frame of 9000 octets, in several buffers',
    frames: [ip.tcp().payload(8960)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [9000, 0],
    fields: { first_payload: [8960] },
  },
  {
    name: 'the longest IPv4 packet there is',
    frames: [ip.tcp().payload(65_495)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [65_535, 0],
    fields: { first_payload: [32_767] },
  },
  {
    name: 'a jumbo frame that is not IP counts with all its octets',
    frames: [packet().ether({ type: 0x88b5 }).payload(8986)],
    key: { kind: KIND.nonIp, lowerPort: 0x88b5 },
    packets: [1, 0],
    octets: [9000, 0],
  },
  {
    name: 'IPv6 extension headers that lead from one buffer into the next',
    frames: [ip6.extension(60, 255).extension(60, 190).udp().payload(500)],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [40 + 2048 + 1528 + 508, 0],
    fields: { first_payload: [500] },
  },
  {
    name: 'payload octets are kept from a frame in several buffers',
    headBytes: 16,
    frames: [ip6.extension(60, 255).extension(60, 190).udp().payload(500, 0x44)],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [40 + 2048 + 1528 + 508, 0],
    fields: { head: [...Array(16).fill(0x44), ...Array(16).fill(0)] },
  },
  {
    name: 'headers further into a frame than any belong',
    frames: [ip6.extension(60, 255).extension(60, 255).udp().payload(100)],
    key: unparsed(7, 0x86dd),
    packets: [1, 0],
    octets: [14 + 40 + 4096 + 108, 0],
  },
  {
    name: 'an IPv6 packet longer than the frame is replaced by what the wire carried',
    frames: [packet().ether().ipv6({ payloadLength: 60_000 }).udp().payload(10)],
    key: { ...v6, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [58, 0],
    fields: { first_payload: [10] },
  },
  {
    name: 'fragments that overlap stay the flow of their first, and are never read as ports',
    frames: [
      packet().ether().ipv4({ id: 78, moreFragments: true }).udp({ length: 100 }).payload(64),
      packet().ether().ipv4({ id: 78, fragmentOffset: 8, protocol: 17 }).payload(64, 0xff),
      packet().ether().ipv4({ id: 78, fragmentOffset: 8, protocol: 17 }).payload(64, 0x11),
    ],
    key: { ...v4, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [3, 0],
    octets: [92 + 84 + 84, 0],
    fields: { first_payload: [64] },
  },
  {
    name: 'an IPv4 option of length zero does not matter to what follows',
    frames: [
      packet()
        .ether()
        .ipv4({ options: [130, 0, 0, 0] })
        .udp()
        .payload(5),
    ],
    key: { ...v4, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [37, 0],
    fields: { first_payload: [5] },
  },
  {
    name: 'a UDP length that lies changes nothing: the IP length counts',
    frames: [ip.udp({ length: 4 }).payload(20)],
    key: { ...v4, lowerPort: 40000, upperPort: 53, protocol: 17 },
    packets: [1, 0],
    octets: [48, 0],
    fields: { first_payload: [20] },
  },
  {
    name: 'no payload is kept unless asked for',
    frames: [ip.tcp().payload(100, 0x41)],
    key: { ...v4, ...tcpPorts },
    packets: [1, 0],
    octets: [140, 0],
    fields: { head: Array(32).fill(0) },
  },
  {
    name: 'the first payload octets of each direction are kept when asked for, the first only',
    headBytes: 16,
    frames: [
      ip.tcp(),
      ip.tcp().payload(100, 0x41),
      ip.tcp().payload(100, 0x42),
      packet().ether().ipv4(back).tcp({ sport: 443, dport: 40000 }).payload(3, 0x43),
    ],
    key: { ...v4, ...tcpPorts },
    packets: [3, 1],
    octets: [320, 43],
    fields: { head: [...Array(16).fill(0x41), 0x43, 0x43, 0x43, ...Array(13).fill(0)] },
  },
];
