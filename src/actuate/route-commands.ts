import type { ActuatedLink, ServiceEndpoint } from './link.js';
import { isIPv6, prefixOf } from './link.js';

/** The bits that tell our marks. Flows of steered workloads carry no other mark; all other flows are left alone. */
export const MARK_MASK = '0x00ff0000';
const OTHERS_MASK = '0xff00ffff';
/** What of a flow's mark goes into its packets: the link. */
const LINK_MASK = '0x007f0000';
/** In a flow's mark: it is the service that is placed, see {@link Steering}. */
const PLACED_BIT = '0x00800000';
/** A flow that follows the main routing table for life. */
export const STAY_MARK = '0x007f0000';

/**
 * What choosing a link means. `way-out`: the service is where it is; what leaves through the gateway for the outside,
 * requests or answers, takes the link. `placement`: the same address is served behind several links, and the link
 * decides by whom; requests take it, wherever they come from.
 */
export type Steering = 'way-out' | 'placement';

/** Mark of the n-th link, as nft and ip read it. */
export const markOf = (index: number): string => `0x${((index + 1) << 16).toString(16).padStart(8, '0')}`;

/**
 * The table: the first packet of a flow that concerns a service chooses; all packets of the flow keep the choice, in
 * the direction that it is about.
 *
 * @param outside interface names of the public links: what arrives there is not on its way out
 */
export const tableLines = (outside: readonly string[]): string => {
  const fromInside =
    outside.length > 0 ? `iifname != { ${outside.map((name) => `"${name}"`).join(', ')} } ` : '';
  const mark = `meta mark set ct mark and ${LINK_MASK} accept`;
  return [
    'add table inet tidegate',
    'add chain inet tidegate choose',
    'add chain inet tidegate steer { type filter hook prerouting priority mangle; policy accept; }',
    `add rule inet tidegate steer ct state new ct direction original ct mark and ${MARK_MASK} == 0 jump choose`,
    `add rule inet tidegate steer ct mark and ${PLACED_BIT} != 0 ct direction original ${mark}`,
    `add rule inet tidegate steer ct mark and ${MARK_MASK} != 0 ct mark and ${PLACED_BIT} == 0 ${fromInside}${mark}`,
  ].join('; ');
};

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
  steering: Steering,
): string {
  let from = 0;
  const ranges = links.flatMap((link, index) => {
    const parts = weights[link.linkId] ?? 0;
    if (parts === 0) return [];
    const range = parts === 1 ? `${from}` : `${from}-${from + parts - 1}`;
    from += parts;
    const mark = Number(markOf(index)) | (steering === 'placement' ? Number(PLACED_BIT) : 0);
    return [`${range} : 0x${mark.toString(16).padStart(8, '0')}`];
  });
  return (
    `flush chain inet tidegate w${workloadId}; ` +
    `add rule inet tidegate w${workloadId} ct mark set numgen random mod ${from} map { ${ranges.join(', ')} }`
  );
}

/** The weights that a listed chain holds. */
export function weightsIn(chain: string, links: readonly ActuatedLink[]): Record<string, number> {
  const weights: Record<string, number> = {};
  for (const [, from, to, mark] of chain.matchAll(/(\d+)(?:-(\d+))? : (0x[0-9a-f]+)/g)) {
    const link = links.find((_, index) => Number(markOf(index)) === (Number(mark) & Number(LINK_MASK)));
    if (link) weights[link.linkId] = Number(to ?? from) - Number(from) + 1;
  }
  return weights;
}
