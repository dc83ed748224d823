import { type CircuitDecision, circuitDecision } from './circuit.js';
import { type LinkRates, linkTotals } from './cost.js';
import { purchaseOf, reservationWords } from './purchase.js';
import type { Allocation, InstanceCount, Plan, PlanInput } from './types.js';

const MINUTES_PER_30_DAYS = 43_200;

/** Who gets what, where and when, for each workload and period. */
export function allocationsOf(input: PlanInput, peak: LinkRates, instances: readonly number[]): Allocation[] {
  const allocations: Allocation[] = [];
  const { links, periods, workloads } = input;
  const rented = input.hosts.instance.instanceId;
  for (let w = 0; w < workloads.length; w += 1) {
    const { workloadId, cpuCores, memoryBytes } = workloads[w]!;
    for (let t = 0; t < periods.length; t += 1) {
      const fromMs = periods[t]!.startMs;
      const untilMs = fromMs + periods[t]!.durationMs;
      // Written out: a large plan has hundreds of thousands of these, and spreading objects is slow.
      const add = (resource: Allocation['resource'], target: string, amount: number): void => {
        allocations.push({ workloadId, resource, target, fromMs, untilMs, amount });
      };
      for (let l = 0; l < links.length; l += 1) {
        const amount = peak[w]![l]![t]!;
        if (amount > 0) add('bandwidth', links[l]!.linkId, amount);
      }
      const target = instances[t]! > 0 ? rented : 'private';
      add('cpu', target, cpuCores[t]!);
      add('memory', target, memoryBytes[t]!);
    }
  }
  return allocations;
}

/** Rented instances by period. */
export const instanceCounts = (input: PlanInput, instances: readonly number[]): InstanceCount[] =>
  input.periods.map((period, t) => ({
    instanceId: input.hosts.instance.instanceId,
    fromMs: period.startMs,
    untilMs: period.startMs + period.durationMs,
    count: instances[t]!,
  }));

/** How instances are bought, and what reserving would save. */
export function purchaseWords(input: PlanInput, instances: readonly number[]): NonNullable<Plan['purchase']> {
  const purchase = purchaseOf(input);
  const reserve = reservationWords(input.hosts, purchase, instances);
  const { ruled } = input.hosts.instance;
  return {
    kind: purchase.kind,
    words: purchase.words,
    ...(reserve === undefined ? {} : { reserve }),
    ...(ruled === undefined ? {} : { rule: ruled.words }),
  };
}

/** Circuit steps: what would go over a circuit is what goes there now, and what dearer links carry beside it. */
export function circuitsOf(input: PlanInput, expected: LinkRates): CircuitDecision[] {
  const totals = linkTotals(input, expected);
  return input.links.flatMap((link, l): CircuitDecision[] => {
    if (link.circuit === undefined || !link.healthy) return [];
    const dearer = input.links
      .map((other, o) => ({ other, o }))
      .filter(({ other }) => other.usdPerGb > link.usdPerGb && other.healthy);
    const rates = input.periods.map((period, t) => ({
      bps: totals[l]![t]! + dearer.reduce((sum, { o }) => sum + totals[o]![t]!, 0),
      durationMs: period.durationMs,
    }));
    const elsewhereUsdPerGb = Math.min(...dearer.map(({ other }) => other.usdPerGb));
    const { maximumUtilisation } = input.goals;
    return [
      circuitDecision(link.linkId, link.circuit, rates, {
        nowMs: input.nowMs,
        maximumUtilisation,
        elsewhereUsdPerGb,
      }),
    ];
  });
}

/** Goals that this plan cannot keep, and what would have to give. */
export function conflictsOf(input: PlanInput, peak: LinkRates, violationMinutes: number): string[] {
  const limit = input.goals.maximumViolationMinutes;
  if (limit === undefined || violationMinutes === 0) return [];
  const horizonMinutes = input.periods.reduce((sum, p) => sum + p.durationMs, 0) / 60_000;
  const monthly = (violationMinutes / horizonMinutes) * MINUTES_PER_30_DAYS;
  if (monthly <= limit) return [];
  const totals = peak.reduce<number[]>(
    (sums, byLink) => sums.map((sum, t) => sum + byLink.reduce((all, row) => all + row[t]!, 0)),
    input.periods.map(() => 0),
  );
  const room = input.links.reduce((sum, link) => sum + (link.healthy ? link.capacityBps : 0), 0);
  const missing = Math.max(...totals) / input.goals.maximumUtilisation - room;
  const relaxations = [`${Math.ceil(monthly)} violation minutes a month`];
  if (missing > 0) relaxations.push(`${(missing / 1e6).toFixed(0)} Mbit/s more capacity`);
  if (Math.max(...totals) <= room) {
    relaxations.push(`a utilisation of up to ${((100 * Math.max(...totals)) / room).toFixed(0)} %`);
  }
  return [
    `at most ${limit} violation minutes a month cannot be kept with the links there are: it takes ${relaxations.join(', or ')}`,
  ];
}
