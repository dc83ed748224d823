import { workerData } from 'node:worker_threads';
import { type EndpointSummary, FingerprintEncoder, groupByEndpoint } from '../fingerprint/index.js';
import { FlowBatch } from '../flow/batch.js';
import { END_REASONS } from '../flow/end-reasons.js';
import { type BlockOptions, encodeFlowBlock } from '../store/native-block.js';

/** What every thread of the pool is started with. */
export interface IngestWorkerData {
  readonly block: BlockOptions;
}

export interface FingerprintTask {
  readonly buffer: SharedArrayBuffer;
  /** The model to encode with; a thread keeps the one that it used last. */
  readonly model: { readonly id: string; readonly bytes: SharedArrayBuffer };
}

export interface FingerprintResult {
  /** Which model made the vectors. */
  readonly modelId: string;
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
let encoder: { readonly id: string; readonly ready: Promise<FingerprintEncoder> } | undefined;

/** This thread's encoder of a model. Another model's is released: tasks of a thread run one after the other. */
async function encoderOf(model: FingerprintTask['model']): Promise<FingerprintEncoder> {
  if (encoder?.id !== model.id) {
    const old = encoder;
    // A copy: onnxruntime does not take shared memory.
    const bytes = new Uint8Array(model.bytes).slice();
    encoder = { id: model.id, ready: FingerprintEncoder.fromBytes(bytes, model.id) };
    await (await old?.ready)?.release();
  }
  return encoder.ready;
}

/** Fills the batch's `fingerprint` and `reconstructionError` columns and groups its rows by service endpoint. */
export async function fingerprint(task: FingerprintTask): Promise<FingerprintResult> {
  const batch = new FlowBatch(task.buffer);
  const behaviours = await (await encoderOf(task.model)).encode(batch);
  return { modelId: task.model.id, ...groupByEndpoint(batch, behaviours) };
}

export interface BlockResult {
  readonly block: Uint8Array;
  /** Records by flowEndReason, the index. */
  readonly endReasons: Uint32Array;
}

/** Writes the workload of each row's endpoint into the batch and encodes it as one ClickHouse Native block. */
export function block(task: BlockTask): BlockResult {
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
  const endReasons = new Uint32Array(END_REASONS.length);
  const reasons = batch.column('flowEndReason', 'u8');
  for (let row = 0; row < batch.rows; row += 1) endReasons[reasons[row]!]! += 1;
  return { block: encodeFlowBlock(batch, settings.block), endReasons };
}
