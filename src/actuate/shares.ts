import type { ActuationPlan, Change, DesiredAllocation, Refusal } from './actuator.js';
import type { ActuatedLink, EndpointsOf } from './link.js';

/** Weights are whole thousandths. */
const PARTS = 1000;

/** Thousandths of a workload's new flows by link id. */
export type LinkWeights = Readonly<Record<string, number>>;

/** What a plan's shares mean as weights of workloads, and what of it cannot be. Target = workload id. */
export function weightChanges(
  plan: ActuationPlan,
  links: readonly ActuatedLink[],
  endpointsOf: EndpointsOf,
): { readonly changes: readonly Change[]; readonly refused: readonly Refusal[] } {
  const byWorkload = new Map<number, DesiredAllocation[]>();
  for (const a of plan.allocations)
    if (a.resource === 'bandwidth' && a.share !== undefined)
      byWorkload.set(a.workloadId, [...(byWorkload.get(a.workloadId) ?? []), a]);
  const changes: Change[] = [];
  const refused: Refusal[] = [];
  for (const [workloadId, allocations] of byWorkload) {
    const reason = reasonAgainst(workloadId, allocations, links, endpointsOf);
    if (reason !== undefined) {
      refused.push(...allocations.map((allocation) => ({ allocation, reason })));
      continue;
    }
    const weights = toThousandths(allocations);
    const words = Object.entries(weights).map(([link, parts]) => `${parts / 10} % by ${link}`);
    changes.push({
      action: 'weights',
      target: String(workloadId),
      after: weights,
      words: `${allocations[0]!.workloadName}: new flows ${words.join(', ')}`,
    });
  }
  return { changes, refused };
}

function reasonAgainst(
  workloadId: number,
  allocations: readonly DesiredAllocation[],
  links: readonly ActuatedLink[],
  endpointsOf: EndpointsOf,
): string | undefined {
  const unknown = allocations.find((a) => !links.some((link) => link.linkId === a.target));
  if (unknown) return `there is no link "${unknown.target}"`;
  if (new Set(allocations.map((a) => a.target)).size < allocations.length) return 'a link is named twice';
  const bad = allocations.find((a) => !((a.share ?? -1) >= 0 && (a.share ?? 2) <= 1));
  if (bad) return `a share of ${bad.share} is not between 0 and 1`;
  const sum = allocations.reduce((total, a) => total + (a.share ?? 0), 0);
  if (Math.abs(sum - 1) > 0.001) return `the shares sum to ${sum}, not to 1`;
  if (endpointsOf(workloadId).length === 0) return 'no endpoint of the workload is known';
  return undefined;
}

/** Shares as whole thousandths that sum to 1000 (largest remainder); links without any are left out. */
export function toThousandths(
  allocations: readonly Pick<DesiredAllocation, 'target' | 'share'>[],
): Record<string, number> {
  const exact = allocations.map((a) => ({ target: a.target, parts: (a.share ?? 0) * PARTS }));
  const floors = exact.map((e) => ({ ...e, whole: Math.floor(e.parts + 1e-9) }));
  let left = PARTS - floors.reduce((sum, e) => sum + e.whole, 0);
  for (const e of [...floors].sort((x, y) => y.parts - y.whole - (x.parts - x.whole))) {
    if (left <= 0) break;
    e.whole += 1;
    left -= 1;
  }
  return Object.fromEntries(
    floors
      .filter((e) => e.whole > 0)
      .sort((x, y) => (x.target < y.target ? -1 : 1))
      .map((e) => [e.target, e.whole]),
  );
}
