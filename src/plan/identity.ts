import { createHash } from 'node:crypto';
import type { Plan, PlanInput } from './types.js';

const RESOURCES = ['bandwidth', 'cpu', 'memory'] as const;

/**
 * The id of a plan: SHA-256 over everything else in it. Allocations enter as six doubles each (workload, resource,
 * target by order of appearance, from, until, amount), which is as exact as their JSON and many times faster; the
 * names of the targets and the rest of the plan enter as JSON.
 */
export function planId(plan: Omit<Plan, 'id'>): string {
  const { allocations, ...rest } = plan;
  const targets = new Map<string, number>();
  const numbers = new Float64Array(allocations.length * 6);
  let at = 0;
  for (const a of allocations) {
    let target = targets.get(a.target);
    if (target === undefined) {
      target = targets.size;
      targets.set(a.target, target);
    }
    numbers[at++] = a.workloadId;
    numbers[at++] = RESOURCES.indexOf(a.resource);
    numbers[at++] = target;
    numbers[at++] = a.fromMs;
    numbers[at++] = a.untilMs;
    numbers[at++] = a.amount;
  }
  const json = JSON.stringify([{ ...rest, id: undefined }, [...targets.keys()]]);
  return createHash('sha256').update(json).update(numbers).digest('hex');
}

/** SHA-256 over all of a plan's inputs, numbers as doubles. */
export function inputHash(input: PlanInput): string {
  const { workloads, ...rest } = input;
  const hash = createHash('sha256').update(JSON.stringify(rest));
  for (const { medianBps, peakBps, cpuCores, memoryBytes, ...facts } of workloads) {
    hash.update(JSON.stringify(facts));
    for (const row of [medianBps, peakBps, cpuCores, memoryBytes]) hash.update(Float64Array.from(row));
  }
  return hash.digest('hex');
}
