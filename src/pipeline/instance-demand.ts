import type { ResourceCoefficients, SeriesHistory } from '../forecast/index.js';
import type { PlanHosts } from '../plan/index.js';
import type { WorkloadHistory } from './cycle-history.js';
import { onAxis } from './resource-forecasts.js';
import { sumSeries } from './usage-history.js';

const GBPS = 1e9;
const GIB = 2 ** 30;

/** Cores and bytes that a workload used, step by step of `axis`, as its resource model tells them by its traffic. */
function resourcesOf(
  { links, resources, model }: WorkloadHistory,
  axis: SeriesHistory,
  coefficients: ResourceCoefficients,
): { readonly cpuCores: Float64Array; readonly memoryBytes: Float64Array } {
  const on = (series: SeriesHistory): Float64Array =>
    onAxis(series, axis).map((value) => (Number.isNaN(value) ? 0 : value));
  const out = on(sumSeries(links.map((u) => u.outBps)));
  const inbound = on(sumSeries(links.map((u) => u.inBps)));
  const flows = on(sumSeries(links.map((u) => u.flowsPerSecond)));
  const bandwidth = out.map((bps, i) => Math.max(bps, inbound[i]!));
  const { cpu, memory } = model;
  const measured = resources === undefined ? undefined : onAxis(resources.cpuCores, axis);
  return {
    cpuCores: bandwidth.map((bps, i) => {
      if (cpu.kind === 'follows-bandwidth')
        return Math.max(0, cpu.intercept + cpu.perBps * bps + cpu.perFlow * flows[i]!);
      const told = (coefficients.cpuCoresPerGbps / GBPS) * bps;
      if (cpu.kind === 'configured') return told;
      const cores = measured?.[i] ?? Number.NaN;
      return Number.isFinite(cores) ? cores : told;
    }),
    memoryBytes: bandwidth.map((bps) =>
      memory.kind === 'windowed-maximum'
        ? memory.bytes
        : ((coefficients.memoryGiBPerGbps * GIB) / GBPS) * bps,
    ),
  };
}

/** The own hosts' cores, counted in instances. */
export const ownInstances = ({ privateCpuCores, instance }: PlanHosts): number =>
  privateCpuCores / instance.cpuCores;

/**
 * What all workloads needed, step by step of `axis`, counted in instances: of CPU and memory the one that takes more
 * beyond the own hosts, so that demand less {@link ownInstances} is how many have to be rented.
 */
export function instanceDemand(
  workloads: readonly WorkloadHistory[],
  axis: SeriesHistory,
  coefficients: ResourceCoefficients,
  hosts: PlanHosts,
): Float64Array {
  const cpuCores = new Float64Array(axis.values.length);
  const memoryBytes = new Float64Array(axis.values.length);
  for (const workload of workloads) {
    const used = resourcesOf(workload, axis, coefficients);
    for (let i = 0; i < cpuCores.length; i += 1) {
      cpuCores[i]! += used.cpuCores[i]!;
      memoryBytes[i]! += used.memoryBytes[i]!;
    }
  }
  const { instance, privateMemoryBytes } = hosts;
  const own = ownInstances(hosts);
  return cpuCores.map((cores, i) =>
    Math.max(
      0,
      cores / instance.cpuCores,
      own + (memoryBytes[i]! - privateMemoryBytes) / instance.memoryBytes,
    ),
  );
}
