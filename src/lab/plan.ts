/**
 * The lab's address plan. IPv4 from RFC 1918 and the documentation ranges of RFC 5737, IPv6 from RFC 4193 and
 * RFC 3849, so that nothing of it could be meant for a real host, even by mistake.
 */

/** The gateway's ways out; the names that plans, tariffs and status use. */
export type LabLinkId = 'private' | 'public-a' | 'public-b';

/** The lab's network namespaces, without prefix. */
export type LabNode = LabLinkId | 'gateway';

export interface LabSubnet {
  /** Gateway's and peer's address on the link, and the prefix length. */
  readonly gateway: string;
  readonly host: string;
  readonly prefix: string;
  readonly length: number;
}

export interface LabLinkPlan {
  readonly linkId: LabLinkId;
  readonly network: 'private' | 'public';
  /** Interface name in the gateway namespace; the peer namespace calls its own end `uplink`. */
  readonly interfaceName: string;
  readonly ipv4: LabSubnet;
  readonly ipv6: LabSubnet;
  /** Last IPv4 octet / last IPv6 group of the further hosts that live behind the link. */
  readonly hosts: readonly number[];
}

export const LAB_LINKS: readonly LabLinkPlan[] = [
  {
    linkId: 'private',
    network: 'private',
    interfaceName: 'private',
    ipv4: { gateway: '10.20.0.1', host: '10.20.0.10', prefix: '10.20.0.0', length: 24 },
    ipv6: { gateway: 'fd00:20::1', host: 'fd00:20::10', prefix: 'fd00:20::', length: 64 },
    hosts: [21, 31, 41, 53, 61, 71],
  },
  {
    linkId: 'public-a',
    network: 'public',
    interfaceName: 'public-a',
    ipv4: { gateway: '198.51.100.1', host: '198.51.100.10', prefix: '198.51.100.0', length: 24 },
    ipv6: { gateway: '2001:db8:a::1', host: '2001:db8:a::10', prefix: '2001:db8:a::', length: 64 },
    hosts: [21, 31, 53, 61, 71],
  },
  {
    linkId: 'public-b',
    network: 'public',
    interfaceName: 'public-b',
    ipv4: { gateway: '203.0.113.1', host: '203.0.113.10', prefix: '203.0.113.0', length: 24 },
    ipv6: { gateway: '2001:db8:b::1', host: '2001:db8:b::10', prefix: '2001:db8:b::', length: 64 },
    hosts: [31, 32, 33, 41, 71],
  },
];

/**
 * Hosts that both public links lead to: they live in public-a, and public-b reaches them over the `exchange`
 * between the two. Without steering the gateway's route goes by public-a.
 */
export const LAB_TRANSIT = { ipv4: '192.0.2.0', length: 25, hosts: ['192.0.2.10', '192.0.2.61'] } as const;

/**
 * One service that is served from the private network and, with the same address, from public-a: what bursting to
 * the cloud means. Without steering the gateway's route goes to the private network. Clients are in public-b.
 */
export const LAB_BURST = { ipv4: '192.0.2.200' } as const;

/**
 * The direct link between the public networks: each reaches the other's hosts by it, so that the gateway may send to
 * any public host by either of its public links.
 */
export const LAB_EXCHANGE = {
  publicA: '192.0.2.253',
  publicB: '192.0.2.254',
  length: 30,
  publicAIPv6: '2001:db8:e::a',
  publicBIPv6: '2001:db8:e::b',
  lengthIPv6: 64,
} as const;

/** Clients of the burst service, in public-b: they meet it through the gateway, both ways, wherever it is served. */
export const LAB_BURST_CLIENTS = ['203.0.113.33'] as const;

/** IPv4 address of a host behind a link, e.g. `(private, 21)` → `10.20.0.21`. */
export const hostIPv4 = (link: LabLinkPlan, host: number): string =>
  link.ipv4.prefix.replace(/\d+$/, String(host));

/** IPv6 address of a host behind a link, e.g. `(private, 21)` → `fd00:20::21`. */
export const hostIPv6 = (link: LabLinkPlan, host: number): string => `${link.ipv6.prefix}${host}`;

/** The link plan of an id. */
export const linkPlan = (linkId: LabLinkId): LabLinkPlan => LAB_LINKS.find((l) => l.linkId === linkId)!;
