import type { Piscina } from 'piscina';
import type { WorkloadRegistry } from '../fingerprint/index.js';
import { FINGERPRINT_DIMENSIONS } from '../flow/columns.js';
import { readFlowSample, type StoreClient } from '../store/index.js';
import type { FingerprintResult, FingerprintTask } from './ingest-worker.js';
import type { LoadedModel } from './model-in-use.js';

export interface RelearnOptions {
  readonly client: Pick<StoreClient, 'rowBinary'>;
  readonly gateway: string;
  readonly registry: WorkloadRegistry;
  /** A pool over `ingest-worker`. */
  readonly pool: Pick<Piscina, 'run'>;
  readonly model: LoadedModel;
  readonly nowMs: number;
}

const REACH_MS = 7 * 86_400_000;
const PER_WORKLOAD = 100;
const MOST_RECORDS = 20_000;

/**
 * After a change of the encoder: encodes stored records of the known workloads anew and gives their means to the
 * registry, so that they are recognised before their next flow. @returns workloads that have a vector again
 */
export async function relearnWorkloads(options: RelearnOptions): Promise<number> {
  const { client, gateway, registry, pool, model, nowMs } = options;
  if (registry.withoutVector().length === 0) return 0;
  const batch = await readFlowSample(client, {
    gateway,
    sinceMs: nowMs - REACH_MS,
    untilMs: nowMs,
    blockMs: REACH_MS,
    perGroup: PER_WORKLOAD,
    groupBy: 'workload',
    limit: MOST_RECORDS,
  });
  if (batch.rows === 0) return 0;
  const task: FingerprintTask = { buffer: batch.buffer, model: { id: model.info.id, bytes: model.bytes } };
  const { endpoints, endpointOfRow }: FingerprintResult = await pool.run(task, { name: 'fingerprint' });
  // Where its endpoint belongs now; an endpoint that is no longer known has left the number that was stored with it.
  const known = endpoints.map(({ key }) => registry.workloadIdOf(key));
  const workloads = batch.column('workloadId', 'u32');
  const fingerprints = batch.column('fingerprint', 'f32');
  const sums = new Map<number, Float32Array>();
  const behaviours = new Map<number, Float32Array>();
  for (let row = 0; row < batch.rows; row += 1) {
    const id = known[endpointOfRow[row]!] ?? workloads[row]!;
    let sum = sums.get(id);
    if (sum === undefined) {
      sum = new Float32Array(FINGERPRINT_DIMENSIONS);
      sums.set(id, sum);
      behaviours.set(id, new Float32Array(FINGERPRINT_DIMENSIONS));
    }
    const behaviour = behaviours.get(id)!;
    // The mean over its endpoint, once a flow: their sum is that of the flows.
    const mean = endpoints[endpointOfRow[row]!]!.behaviour;
    for (let i = 0; i < FINGERPRINT_DIMENSIONS; i += 1) {
      sum[i]! += fingerprints[row * FINGERPRINT_DIMENSIONS + i]!;
      behaviour[i]! += mean?.[i] ?? 0;
    }
  }
  return registry.relearn(model.info.id, sums, behaviours);
}
