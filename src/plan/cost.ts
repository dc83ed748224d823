import type { PlanInput } from './types.js';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const BITS_PER_GB = 8e9;

/** What each class puts on each link in each period: [class][link][period], bit/s. */
export type LinkRates = readonly (readonly (readonly number[])[])[];

export interface Schedule {
  /** To be prepared for. */
  readonly peak: LinkRates;
  /** Expected, billed. */
  readonly median: LinkRates;
  /** Rented instances by period. */
  readonly instances: readonly number[];
}

export interface ScheduleCost {
  readonly usd: number;
  readonly violationMinutes: number;
}

/**
 * Prices a schedule: egress at the marginal price, port-hours, instance-hours, and the worth of minutes in which a
 * link or the hosts have no room. The one rule by which plans and "doing nothing" are compared.
 */
export function scheduleCost(input: PlanInput, schedule: Schedule): ScheduleCost {
  const { links, hosts, goals, periods } = input;
  let usd = 0;
  let violationMinutes = 0;
  for (const [t, period] of periods.entries()) {
    const hours = period.durationMs / HOUR_MS;
    let violated = false;
    for (const [l, link] of links.entries()) {
      let peak = 0;
      let median = 0;
      for (const [k, byLink] of schedule.peak.entries()) {
        peak += byLink[l]![t]!;
        median += schedule.median[k]![l]![t]!;
      }
      usd += (median * (period.durationMs / 1000) * link.usdPerGb) / BITS_PER_GB + link.portHourUsd * hours;
      const room = link.healthy ? link.capacityBps * goals.maximumUtilisation : 0;
      violated ||= peak > room * (1 + 1e-9) + 1;
    }
    const count = schedule.instances[t]!;
    usd += count * hosts.instance.usdPerHour * hours;
    const cpu = input.workloads.reduce((sum, w) => sum + w.cpuCores[t]!, 0);
    const memory = input.workloads.reduce((sum, w) => sum + w.memoryBytes[t]!, 0);
    violated ||= cpu > hosts.privateCpuCores + count * hosts.instance.cpuCores + 1e-9;
    violated ||= memory > hosts.privateMemoryBytes + count * hosts.instance.memoryBytes + 1;
    if (violated) violationMinutes += period.durationMs / MINUTE_MS;
  }
  return { usd: usd + violationMinutes * goals.violationUsdPerMinute, violationMinutes };
}

/** Instances that cover the needs of each period after the own hosts. */
export function instancesNeeded(input: PlanInput): number[] {
  const { hosts } = input;
  return input.periods.map((_, t) => {
    const cpu = input.workloads.reduce((sum, w) => sum + w.cpuCores[t]!, 0) - hosts.privateCpuCores;
    const memory = input.workloads.reduce((sum, w) => sum + w.memoryBytes[t]!, 0) - hosts.privateMemoryBytes;
    return Math.max(
      0,
      Math.ceil(cpu / hosts.instance.cpuCores - 1e-9),
      Math.ceil(memory / hosts.instance.memoryBytes - 1e-9),
    );
  });
}
