import type { EndpointState } from './endpoint-table.js';
import type { WorkloadLabel } from './types.js';
import type { WorkloadState } from './workload-state.js';

/**
 * Names that people and rules gave, with the endpoints and the ids that they are about.
 *
 * @param gone ids that were merged away
 * @param resolve where such an id went
 */
export function labelsOf(
  workloads: Iterable<WorkloadState>,
  endpoints: Iterable<readonly [string, EndpointState]>,
  gone: Iterable<number>,
  resolve: (workloadId: number) => number,
): WorkloadLabel[] {
  const named = new Map(
    [...workloads]
      .filter((state) => state.namedBy !== 'behaviour')
      .map(({ id, name }) => [id, { workloadId: id, name, workloadIds: [id], endpoints: [] as string[] }]),
  );
  for (const id of gone) named.get(resolve(id))?.workloadIds.push(id);
  for (const [key, { workloadId }] of endpoints) named.get(workloadId)?.endpoints.push(key);
  return [...named.values()];
}
