import type { StoreClient } from '../store/index.js';
import type { RegularSeries } from './prometheus.js';

export interface WorkloadResources {
  readonly cpuCores: RegularSeries;
  readonly memoryBytes: RegularSeries;
}

/**
 * CPU and memory of workloads over a window, on its time axis: the mean of a step's CPU, the highest of its memory;
 * NaN where nothing is known.
 *
 * @param fromMs aligned to `stepMs`; @param toMs exclusive
 */
export async function readResources(
  client: Pick<StoreClient, 'query'>,
  gateway: string,
  fromMs: number,
  toMs: number,
  stepMs: number,
): Promise<Map<number, WorkloadResources>> {
  const steps = Math.round((toMs - fromMs) / stepMs);
  const rows = await client.query<{ workloadId: number; step: number; cpu: number; memory: number }>(
    `SELECT workloadId, toUInt32(intDiv(toUnixTimestamp(time) - {from:UInt32}, {step:UInt32})) AS step,
       if(countIf(isFinite(cpuCores)) > 0, avgIf(cpuCores, isFinite(cpuCores)), -1) AS cpu,
       if(countIf(isFinite(memoryBytes)) > 0, maxIf(memoryBytes, isFinite(memoryBytes)), -1) AS memory
     FROM resource_usage FINAL
     WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({to:UInt32})
     GROUP BY workloadId, step`,
    { params: { gateway, from: fromMs / 1000, to: toMs / 1000, step: stepMs / 1000 } },
  );
  const found = new Map<number, WorkloadResources>();
  const unknown = (): RegularSeries => ({
    startMs: fromMs,
    stepMs,
    values: new Float64Array(steps).fill(Number.NaN),
  });
  for (const row of rows) {
    const workloadId = Number(row.workloadId);
    const resources = found.get(workloadId) ?? { cpuCores: unknown(), memoryBytes: unknown() };
    found.set(workloadId, resources);
    const [cpu, memory] = [Number(row.cpu), Number(row.memory)];
    if (cpu >= 0) resources.cpuCores.values[Number(row.step)] = cpu;
    if (memory >= 0) resources.memoryBytes.values[Number(row.step)] = memory;
  }
  return found;
}
