import { formatRate } from '../base/units.js';
import { type LinkRates, linkTotals } from './cost.js';
import { type LinkModel, roomBps } from './model.js';
import type { BindingConstraint, Plan, PlanInput } from './types.js';

const NEGLIGIBLE = 1e-6;
const GBPS = 1e9;

/** Links that are full, how long, and what more room would save. */
export function bindingOf(
  input: PlanInput,
  peak: LinkRates,
  solved: { readonly model: LinkModel; readonly rowDual: Float64Array } | undefined,
): BindingConstraint[] {
  const totals = linkTotals(input, peak);
  return input.links.flatMap((_, l) => [...levelOf(input, l, totals[l]!), ...fullness(l)]);

  function fullness(l: number): BindingConstraint[] {
    const link = input.links[l]!;
    const room = roomBps(input, l);
    const full = input.periods
      .map((_, t) => t)
      .filter((t) => room > 0 && totals[l]![t]! >= room * (1 - 1e-6));
    if (full.length === 0) return [];
    const overloaded = full.filter((t) => totals[l]![t]! > room * (1 + 1e-6) + 1);
    const words = [
      `${link.linkId} is full (${formatRate(room)}) in ${full.length} of ${input.periods.length} periods`,
    ];
    if (overloaded.length > 0) words.push(`overloaded in ${overloaded.length}`);
    const constraint = `room:${link.linkId}`;
    if (solved === undefined || solved.rowDual.length === 0) return [{ constraint, words: words.join(', ') }];
    // An overloaded period's dual is the penalty on overflow, not money.
    const usdPerUnit = full
      .filter((t) => !overloaded.includes(t))
      .reduce((sum, t) => sum + Math.max(0, -solved.rowDual[solved.model.room(l, t)]!), 0);
    const perCapacity = input.goals.maximumUtilisation;
    const shadowUsdPerGbps = (usdPerUnit / solved.model.unitBps) * GBPS * perCapacity;
    words.push(
      `one more Gbit/s of ${link.linkId} would save $${shadowUsdPerGbps.toFixed(4)} over the horizon, at the margin`,
    );
    return [{ constraint, shadowUsdPerGbps, words: words.join('; ') }];
  }
}

/** A percentile-billed link at its level: what more would cost, and how often it is exceeded for free. */
function levelOf(input: PlanInput, l: number, totals: readonly number[]): BindingConstraint[] {
  const { linkId, burst } = input.links[l]!;
  if (burst === undefined) return [];
  const above = totals.filter((rate) => rate > burst.levelBps * (1 + 1e-6) + 1).length;
  const at = totals.filter((rate) => Math.abs(rate - burst.levelBps) <= burst.levelBps * 1e-6).length;
  if (above + at === 0) return [];
  const words = `${linkId} is at its billed level (${formatRate(burst.levelBps)}) in ${at} periods and above it in ${above}, ${burst.freeSamples} samples may be: beyond them, one more Mbit/s costs $${burst.usdPerMbps} for the month`;
  return [{ constraint: `level:${linkId}`, words }];
}

/** Why each workload goes where it goes. */
export function reasonsOf(input: PlanInput, peak: LinkRates): Plan['reasons'] {
  const totals = linkTotals(input, peak);
  const cheapest = [...input.links].sort((a, b) => a.usdPerGb - b.usdPerGb)[0]!;
  return input.workloads.map((workload, w) => {
    const sums = input.links.map((_, l) => peak[w]![l]!.reduce((sum, rate) => sum + rate, 0));
    const all = sums.reduce((sum, value) => sum + value, 0);
    const parts = input.links
      .map((link, l) => ({ link, l, share: all > 0 ? sums[l]! / all : 0 }))
      .filter((part) => part.share > NEGLIGIBLE)
      .sort((a, b) => b.share - a.share);
    const where = parts.map(
      ({ link, share }) => `${Math.round(share * 100)} % on ${link.linkId} at $${link.usdPerGb}/GB`,
    );
    const why: string[] = [];
    if (workload.pinnedTo !== undefined) why.push(`pinned to ${workload.pinnedTo}`);
    else if (parts.some(({ link }) => link.usdPerGb > cheapest.usdPerGb)) {
      const l = input.links.indexOf(cheapest);
      const isFull = input.periods.some((_, t) => totals[l]![t]! >= roomBps(input, l) * (1 - 1e-6));
      const bound = workload.latencyBoundMs;
      if (!cheapest.healthy) why.push(`${cheapest.linkId} is down`);
      else if (bound !== undefined && (cheapest.latencyMs ?? 0) > bound) {
        why.push(`${cheapest.linkId} is slower than its ${bound} ms`);
      } else if (isFull) why.push(`${cheapest.linkId} is full`);
    } else if (parts.length > 0) why.push('the cheapest link with room');
    if (workload.deferrableMs !== undefined) {
      why.push(`may wait ${Math.round(workload.deferrableMs / 60_000)} min`);
    }
    const words = [where.length > 0 ? where.join(', ') : 'no demand', ...why].join('; ');
    return { workloadId: workload.workloadId, words: `${workload.name}: ${words}` };
  });
}
