import {
  hostIPv4,
  hostIPv6,
  LAB_BURST,
  LAB_BURST_CLIENTS,
  LAB_EXCHANGE,
  LAB_LINKS,
  LAB_TRANSIT,
  type LabLinkId,
  type LabLinkPlan,
  linkPlan,
} from './plan.js';

/** Interface of a peer namespace towards the gateway. */
export const UPLINK = 'uplink';
const EXCHANGE = 'exchange';

/**
 * What `ip -batch -` is told first: the namespaces and the cables. Both ends are born inside namespaces, so no
 * interface ever exists outside of them.
 *
 * @param queues receive and transmit queues of each end: more than one, so that XDP runs on several CPUs
 */
export function cablesBatch(nameOf: (node: LabLinkId | 'gateway') => string, queues: number): string {
  const q = `numtxqueues ${queues} numrxqueues ${queues}`;
  const cable = (fromNode: string, from: string, toNode: string, to: string): string =>
    `link add ${from} netns ${fromNode} ${q} type veth peer name ${to} netns ${toNode} ${q}`;
  return [
    `netns add ${nameOf('gateway')}`,
    ...LAB_LINKS.map((link) => `netns add ${nameOf(link.linkId)}`),
    ...LAB_LINKS.map((link) => cable(nameOf('gateway'), link.interfaceName, nameOf(link.linkId), UPLINK)),
    cable(nameOf('public-a'), EXCHANGE, nameOf('public-b'), EXCHANGE),
    '',
  ].join('\n');
}

const ipBatch = (lines: readonly string[]): string => `ip -batch - <<'BATCH'\n${lines.join('\n')}\nBATCH\n`;

const setSysctls = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `echo ${value} > /proc/sys/net/${name}\n`)
    .join('');

/** Addresses are ours alone: no duplicate detection (RFC 4862 5.4), which would hold IPv6 back for a second. */
const quietIPv6 = (...interfaces: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    ['all', ...interfaces].flatMap((name) => [
      [`ipv6/conf/${name}/accept_dad`, 0],
      [`ipv6/conf/${name}/accept_ra`, 0],
    ]),
  );

/** Addresses of the gateway itself, and its routes to what is not next to it. */
export function gatewayScript(): string {
  const lines = ['link set lo up'];
  for (const link of LAB_LINKS) {
    lines.push(
      `addr add ${link.ipv4.gateway}/${link.ipv4.length} dev ${link.interfaceName}`,
      `addr add ${link.ipv6.gateway}/${link.ipv6.length} dev ${link.interfaceName} nodad`,
      `link set ${link.interfaceName} up`,
    );
  }
  const a = linkPlan('public-a');
  const b = linkPlan('public-b');
  const inside = linkPlan('private');
  lines.push(
    `route add ${LAB_TRANSIT.ipv4}/${LAB_TRANSIT.length} via ${a.ipv4.host} metric 100`,
    `route add ${LAB_TRANSIT.ipv4}/${LAB_TRANSIT.length} via ${b.ipv4.host} metric 200`,
    `route add ${LAB_BURST.ipv4}/32 via ${inside.ipv4.host} metric 100`,
    `route add ${LAB_BURST.ipv4}/32 via ${a.ipv4.host} metric 200`,
    // Each public network is also reached through the other one, when its own link is down.
    ...[
      [a, b],
      [b, a],
    ].flatMap(([to, by]) => [
      `route add ${to!.ipv4.prefix}/${to!.ipv4.length} via ${by!.ipv4.host} metric 200`,
      `route add ${to!.ipv6.prefix}/${to!.ipv6.length} via ${by!.ipv6.host} metric 2000`,
    ]),
  );
  return (
    // Before the links come up, so that no router solicitation or redirect is ever sent.
    setSysctls({
      'ipv4/ip_forward': 1,
      'ipv6/conf/all/forwarding': 1,
      'ipv4/conf/all/send_redirects': 0,
      'ipv4/conf/default/send_redirects': 0,
      'ipv4/conf/all/rp_filter': 0,
      'ipv4/conf/default/rp_filter': 0,
      'ipv4/conf/all/ignore_routes_with_linkdown': 1,
      'ipv6/conf/all/ignore_routes_with_linkdown': 1,
      ...quietIPv6(...LAB_LINKS.map((link) => link.interfaceName)),
    }) + ipBatch(lines)
  );
}

function peerRoutes(link: LabLinkPlan): string[] {
  const inside = linkPlan('private');
  if (link.linkId === 'private') {
    const outside = LAB_LINKS.filter((other) => other !== link).flatMap((other) => [
      `route add ${other.ipv4.prefix}/${other.ipv4.length} via ${link.ipv4.gateway}`,
      `route add ${other.ipv6.prefix}/${other.ipv6.length} via ${link.ipv6.gateway}`,
    ]);
    return [...outside, `route add ${LAB_TRANSIT.ipv4}/${LAB_TRANSIT.length} via ${link.ipv4.gateway}`];
  }
  const isA = link.linkId === 'public-a';
  const other = linkPlan(isA ? 'public-b' : 'public-a');
  const across = isA ? LAB_EXCHANGE.publicB : LAB_EXCHANGE.publicA;
  const acrossIPv6 = isA ? LAB_EXCHANGE.publicBIPv6 : LAB_EXCHANGE.publicAIPv6;
  return [
    `route add ${other.ipv4.prefix}/${other.ipv4.length} via ${across}`,
    `route add ${other.ipv6.prefix}/${other.ipv6.length} via ${acrossIPv6}`,
    `route add ${inside.ipv4.prefix}/${inside.ipv4.length} via ${link.ipv4.gateway} metric 100`,
    `route add ${inside.ipv6.prefix}/${inside.ipv6.length} via ${link.ipv6.gateway} metric 100`,
    // Answers find the other way when the gateway's link here is down.
    `route add ${inside.ipv4.prefix}/${inside.ipv4.length} via ${across} metric 200`,
    `route add ${inside.ipv6.prefix}/${inside.ipv6.length} via ${acrossIPv6} metric 200`,
    ...(isA
      ? LAB_BURST_CLIENTS.map((client) => `route add ${client}/32 via ${link.ipv4.gateway}`)
      : [
          `route add ${LAB_TRANSIT.ipv4}/${LAB_TRANSIT.length} via ${across}`,
          `route add ${LAB_BURST.ipv4}/32 via ${link.ipv4.gateway}`,
        ]),
  ];
}

/** Hosts, routes and interface features of one network behind the gateway. There is no default route. */
export function peerScript(linkId: LabLinkId): string {
  const link = linkPlan(linkId);
  const lines = [
    'link set lo up',
    `addr add ${link.ipv4.host}/${link.ipv4.length} dev ${UPLINK}`,
    `addr add ${link.ipv6.host}/${link.ipv6.length} dev ${UPLINK} nodad`,
    ...link.hosts.flatMap((host) => [
      `addr add ${hostIPv4(link, host)}/${link.ipv4.length} dev ${UPLINK}`,
      `addr add ${hostIPv6(link, host)}/${link.ipv6.length} dev ${UPLINK} nodad`,
    ]),
    `link set ${UPLINK} up`,
  ];
  if (linkId !== 'private') {
    const own = linkId === 'public-a' ? LAB_EXCHANGE.publicA : LAB_EXCHANGE.publicB;
    const ownIPv6 = linkId === 'public-a' ? LAB_EXCHANGE.publicAIPv6 : LAB_EXCHANGE.publicBIPv6;
    lines.push(
      `addr add ${own}/${LAB_EXCHANGE.length} dev ${EXCHANGE}`,
      `addr add ${ownIPv6}/${LAB_EXCHANGE.lengthIPv6} dev ${EXCHANGE} nodad`,
      `link set ${EXCHANGE} up`,
    );
  }
  if (linkId === 'public-a') for (const host of LAB_TRANSIT.hosts) lines.push(`addr add ${host}/32 dev lo`);
  if (linkId !== 'public-b') lines.push(`addr add ${LAB_BURST.ipv4}/32 dev lo`);
  lines.push(...peerRoutes(link));
  const forward = linkId === 'private' ? 0 : 1;
  return (
    setSysctls({
      'ipv4/ip_forward': forward,
      'ipv6/conf/all/forwarding': forward,
      'ipv4/conf/all/send_redirects': 0,
      'ipv4/conf/default/send_redirects': 0,
      'ipv4/conf/all/rp_filter': 0,
      'ipv4/conf/default/rp_filter': 0,
      'ipv4/conf/all/ignore_routes_with_linkdown': 1,
      'ipv6/conf/all/ignore_routes_with_linkdown': 1,
      ...quietIPv6(UPLINK, ...(linkId === 'private' ? [] : [EXCHANGE])),
    }) +
    // The gateway's XDP must see the packets of the wire: checksums filled in, no 64 KiB pseudo-packets.
    `ethtool -K ${UPLINK} tx off >/dev/null\n` +
    ipBatch(lines) +
    // GRO on this end lets the gateway's end take what XDP redirects; asked for while it is down, nobody is told.
    `ethtool -K ${UPLINK} gro on >/dev/null\n`
  );
}
