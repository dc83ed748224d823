import { HeldMachines } from './hold.js';
import { roomBps } from './model.js';
import { purchaseOf } from './purchase.js';
import type { Plan, PlanInput } from './types.js';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const BITS_PER_GB = 8e9;

/** What each workload puts on each link in each period: [workload][link][period], bit/s. */
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

/** Total of all workloads by [link][period]. */
export function linkTotals(input: PlanInput, rates: LinkRates): number[][] {
  const totals = input.links.map(() => new Array<number>(input.periods.length).fill(0));
  for (const byLink of rates) {
    for (const [l, byPeriod] of byLink.entries()) {
      for (const [t, rate] of byPeriod.entries()) totals[l]![t]! += rate;
    }
  }
  return totals;
}

/**
 * Prices a schedule: egress at the marginal price, percentile-billed rates above their level, port-hours,
 * instance-hours, and the worth of minutes in which a
 * link or the hosts have no room. What finds no room on its link is billed as if it took the dearest one: overload
 * never makes a plan look cheap. The one rule by which plans and "doing nothing" are compared.
 */
export function scheduleCost(input: PlanInput, schedule: Schedule): ScheduleCost {
  const { links, hosts, goals, periods } = input;
  const dearest = Math.max(...links.map((link) => link.usdPerGb));
  const peak = linkTotals(input, schedule.peak);
  const median = linkTotals(input, schedule.median);
  const needs = hostNeeds(input);
  const { usdPerHour } = purchaseOf(input);
  let usd = 0;
  let violationMinutes = 0;
  for (const [t, period] of periods.entries()) {
    const hours = period.durationMs / HOUR_MS;
    const gbPerBps = period.durationMs / 1000 / BITS_PER_GB;
    let violated = false;
    for (const [l, link] of links.entries()) {
      const room = roomBps(input, l);
      const used = peak[l]![t]!;
      const over = used > room * (1 + 1e-6) + 1 ? (used - room) / used : 0;
      const gb = median[l]![t]! * gbPerBps;
      usd += gb * ((1 - over) * link.usdPerGb + over * dearest) + link.portHourUsd * hours;
      violated ||= over > 0;
    }
    const count = schedule.instances[t]!;
    usd += count * usdPerHour * hours;
    // Where the capacity rule decided, it has weighed the risk by what really happens; the sized demand is its worst case.
    if (t > 0 || hosts.instance.ruled === undefined) {
      violated ||= needs.cpu[t]! > hosts.privateCpuCores + count * hosts.instance.cpuCores + 1e-9;
      violated ||= needs.memory[t]! > hosts.privateMemoryBytes + count * hosts.instance.memoryBytes + 1;
    }
    if (violated) violationMinutes += period.durationMs / MINUTE_MS;
  }
  for (const l of links.keys()) usd += burstUsd(input, l, peak[l]!);
  return { usd: usd + violationMinutes * goals.violationUsdPerMinute, violationMinutes };
}

/** What a percentile-billed link owes above its level, after the free samples: the rate that is then the highest. */
function burstUsd(input: PlanInput, l: number, rates: readonly number[]): number {
  const { burst } = input.links[l]!;
  if (burst === undefined) return 0;
  const sorted = rates
    .map((rate, t) => ({
      rate,
      samples: Math.max(1, Math.round(input.periods[t]!.durationMs / burst.sampleMs)),
    }))
    .sort((a, b) => b.rate - a.rate || a.samples - b.samples);
  let left = burst.freeSamples;
  for (const { rate, samples } of sorted) {
    if (samples > left) return (Math.max(0, rate - burst.levelBps) / 1e6) * burst.usdPerMbps;
    left -= samples;
  }
  return 0;
}

function hostNeeds(input: PlanInput): { readonly cpu: number[]; readonly memory: number[] } {
  const cpu = new Array<number>(input.periods.length).fill(0);
  const memory = new Array<number>(input.periods.length).fill(0);
  for (const w of input.workloads) {
    for (let t = 0; t < cpu.length; t += 1) {
      cpu[t]! += w.cpuCores[t]!;
      memory[t]! += w.memoryBytes[t]!;
    }
  }
  return { cpu, memory };
}

/**
 * Instances that cover the needs of each period after the own hosts; in the first one as many as the capacity rule
 * says, where it does. Who runs stays for its hold, oldest stop first.
 */
export function instancesNeeded(input: PlanInput): number[] {
  const { hosts } = input;
  const { cpuCores, memoryBytes, holdMs = 0, runningSinceMs, ruled } = hosts.instance;
  const needs = hostNeeds(input);
  const held = new HeldMachines(holdMs, runningSinceMs);
  return input.periods.map(({ startMs }, t) => {
    const needed = Math.max(
      0,
      Math.ceil((needs.cpu[t]! - hosts.privateCpuCores) / cpuCores - 1e-9),
      Math.ceil((needs.memory[t]! - hosts.privateMemoryBytes) / memoryBytes - 1e-9),
    );
    return held.next(t === 0 ? (ruled?.count ?? needed) : needed, startMs);
  });
}

/** When each instance that runs at `nowMs` was started, had an earlier plan been followed until then. */
export function runningSince(
  plan: Pick<Plan, 'instances' | 'runningSinceMs'>,
  holdMs: number,
  nowMs: number,
): number[] {
  const held = new HeldMachines(holdMs, plan.runningSinceMs);
  for (const { fromMs, count } of plan.instances) if (fromMs <= nowMs) held.next(count, fromMs);
  return held.since;
}
