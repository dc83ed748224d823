import { pino } from 'pino';
import { type PlanInput, Planner, type WorkloadDemand } from '../../plan/index.js';

const DAY_MS = 86_400_000;

/** A day of `workloads` with daily shapes of their own, over three links, all overlapping enough to need the public ones. */
export function benchInput(workloads: number, periods: number): PlanInput {
  const durationMs = DAY_MS / periods;
  const shape = (i: number, t: number): number =>
    1.2 + Math.sin((2 * Math.PI * t) / periods + i) + 0.1 * Math.sin(t * (i % 7) + i);
  const demands = Array.from({ length: workloads }, (_, i): WorkloadDemand => {
    const size = (2e10 / workloads) * (1 / (1 + (i % 17)));
    const peakBps = Array.from({ length: periods }, (_t, t) => size * shape(i, t));
    return {
      workloadId: i + 1,
      name: `workload ${i + 1}`,
      peakBps,
      medianBps: peakBps.map((bps) => bps * 0.7),
      cpuCores: peakBps.map((bps) => bps / 5e8),
      memoryBytes: peakBps.map((bps) => bps * 4),
      currentShares: { [i % 2 === 0 ? 'private' : 'public-a']: 1 },
      ...(i % 50 === 0 ? { pinnedTo: 'private' } : {}),
      ...(i % 40 === 1 ? { deferrableMs: 4 * 3_600_000 } : {}),
    };
  });
  const link = (linkId: string, network: 'private' | 'public', gbps: number, usdPerGb: number) => ({
    linkId,
    network,
    capacityBps: gbps * 1e9,
    usdPerGb,
    portHourUsd: 0.3,
    healthy: true,
  });
  return {
    gateway: 'bench',
    nowMs: 0,
    periods: Array.from({ length: periods }, (_, t) => ({ startMs: t * durationMs, durationMs })),
    workloads: demands,
    links: [
      link('private', 'private', 2, 0),
      link('public-a', 'public', 10, 0.05),
      link('public-b', 'public', 10, 0.09),
    ],
    hosts: {
      privateCpuCores: 8,
      privateMemoryBytes: 32e9,
      instance: { instanceId: 'm5.large', cpuCores: 2, memoryBytes: 8e9, usdPerHour: 0.096 },
    },
    goals: { maximumUtilisation: 0.8, violationUsdPerMinute: 1 },
    expiresMs: DAY_MS,
  };
}

export interface PlanTime {
  readonly workloads: number;
  readonly periods: number;
  readonly medianSeconds: number;
  readonly coldSeconds: number;
  readonly classes: number;
}

/** Wall time of whole plans, input to content hash, on a warm planner; the first, cold one apart. */
export async function planTimes(): Promise<PlanTime[]> {
  const planner = new Planner({ logger: pino({ level: 'silent' }) });
  await planner.start();
  const results: PlanTime[] = [];
  try {
    for (const [workloads, periods] of [
      [50, 24],
      [500, 40],
      [500, 96],
    ] as const) {
      const input = benchInput(workloads, periods);
      const seconds: number[] = [];
      let classes = 0;
      for (let run = 0; run < 6; run += 1) {
        const started = performance.now();
        classes = (await planner.plan(input)).solver.classes;
        seconds.push((performance.now() - started) / 1000);
      }
      const [coldSeconds, ...warm] = seconds;
      warm.sort((a, b) => a - b);
      results.push({
        workloads,
        periods,
        medianSeconds: warm[2]!,
        coldSeconds: coldSeconds!,
        classes,
      });
    }
  } finally {
    await planner.stop();
  }
  return results;
}
