import { workerData } from 'node:worker_threads';
import { type EndpointSummary, FingerprintEncoder, groupByEndpoint } from '../fingerprint/index.js';
import { FlowBatch } from '../flow/batch.js';
import { type BlockOptions, encodeFlowBlock } from '../store/native-block.js';

/** What every thread of the pool is started with. */
export interface IngestWorkerData {
  /** Absent = the model that ships with Tidegate. */
  readonly modelPath?: string;
  readonly block: BlockOptions;
}

export interface FingerprintTask {
  readonly buffer: SharedArrayBuffer;
}

export interface FingerprintResult {
  readonly endpoints: EndpointSummary[];
  /** Row → index into `endpoints`. */
  readonly endpointOfRow: Uint32Array;
}

export interface BlockTask {
  readonly buffer: SharedArrayBuffer;
  readonly endpointOfRow?: Uint32Array;
  /** By endpoint index. */
  readonly workloadIds?: Uint32Array;
  readonly scores?: Float32Array;
}

const settings = workerData as IngestWorkerData;
let encoder: Promise<FingerprintEncoder> | undefined;

/** Fills the batch's `fingerprint` and `reconstructionError` columns and groups its rows by service endpoint. */
export async function fingerprint(task: FingerprintTask): Promise<FingerprintResult> {
  encoder ??= FingerprintEncoder.load(settings.modelPath);
  const batch = new FlowBatch(task.buffer);
  await (await encoder).encode(batch);
  return groupByEndpoint(batch);
}

/** Writes the workload of each row's endpoint into the batch and encodes it as one ClickHouse Native block. */
export function block(task: BlockTask): Uint8Array {
  const batch = new FlowBatch(task.buffer);
  const { endpointOfRow, workloadIds, scores } = task;
  if (endpointOfRow && workloadIds && scores) {
    const workloadId = batch.column('workloadId', 'u32');
    const workloadScore = batch.column('workloadScore', 'f32');
    for (let row = 0; row < batch.rows; row += 1) {
      const endpoint = endpointOfRow[row]!;
      workloadId[row] = workloadIds[endpoint]!;
      workloadScore[row] = scores[endpoint]!;
    }
  }
  return encodeFlowBlock(batch, settings.block);
}
