import type { ActuatedLink, ServiceEndpoint } from './link.js';
import { isIPv6, prefixOf } from './link.js';

/** The bits that tell our marks. Flows of steered workloads carry no other mark; all other flows are left alone. */
export const MARK_MASK = '0x00ff0000';
const OTHERS_MASK = '0xff00ffff';
/** A flow that follows the main routing table for life. */
export const STAY_MARK = '0x00ff0000';

/** Mark of the n-th link, as nft and ip read it. */
export const markOf = (index: number): string => `0x${((index + 1) << 16).toString(16).padStart(8, '0')}`;

/**
 * The table: packets of a flow that chose keep its choice; the first packet of a flow towards a service chooses.
 * Only the direction towards the service is routed by mark.
 */
export const tableLines = (): string =>
  [
    'add table inet tidegate',
    'add chain inet tidegate choose',
    'add chain inet tidegate steer { type filter hook prerouting priority mangle; policy accept; }',
    `add rule inet tidegate steer ct mark and ${MARK_MASK} != 0 ct direction original meta mark set ct mark accept`,
    'add rule inet tidegate steer ct state new ct direction original jump choose',
  ].join('; ');

/** nft expressions that recognise the first packet of a flow to an endpoint. */
export const matchesOf = (endpoints: readonly ServiceEndpoint[]): string[] =>
  endpoints.map((endpoint) => {
    const family = isIPv6(endpoint) ? 'ip6' : 'ip';
    return `${family} daddr ${prefixOf(endpoint)} ${endpoint.protocol} dport ${endpoint.port}`;
  });

/** The line of the `choose` chain for one endpoint of a workload. */
export const chooseLine = (match: string, workloadId: number): string =>
  [
    // A TCP flow that begins without SYN was there before us: it is never moved.
    ...(match.includes(' tcp ')
      ? [
          `add rule inet tidegate choose ${match} tcp flags & (syn | ack) != syn ct mark set ct mark and ${OTHERS_MASK} or ${STAY_MARK} return`,
        ]
      : []),
    `add rule inet tidegate choose ${match} goto w${workloadId}`,
  ].join('; ');

/** The transaction that gives a workload other weights, in thousandths. */
export function weightsLine(
  workloadId: number,
  weights: Readonly<Record<string, number>>,
  links: readonly ActuatedLink[],
): string {
  let from = 0;
  const ranges = links.flatMap((link, index) => {
    const parts = weights[link.linkId] ?? 0;
    if (parts === 0) return [];
    const range = parts === 1 ? `${from}` : `${from}-${from + parts - 1}`;
    from += parts;
    return [`${range} : ${markOf(index)}`];
  });
  return (
    `flush chain inet tidegate w${workloadId}; ` +
    `add rule inet tidegate w${workloadId} ct mark set numgen random mod ${from} map { ${ranges.join(', ')} } meta mark set ct mark`
  );
}
