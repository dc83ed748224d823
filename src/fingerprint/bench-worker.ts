import { FlowBatch } from '../flow/batch.js';
import { FingerprintEncoder } from './encoder.js';
import { groupByEndpoint } from './workloads/endpoint.js';
import type { EndpointGroups } from './workloads/types.js';

let encoder: Promise<FingerprintEncoder> | undefined;
let turn: Promise<void> = Promise.resolve();

interface BenchTask {
  readonly buffer: SharedArrayBuffer;
}

/** Tasks of one thread wait for each other: the encoder is not reentrant. */
async function encoded(task: BenchTask): Promise<Float32Array | undefined> {
  encoder ??= FingerprintEncoder.load();
  const mine = Promise.all([encoder, turn]).then(([ready]) => ready.encode(new FlowBatch(task.buffer)));
  turn = mine.then(
    () => {},
    () => {},
  );
  return mine;
}

/** Encodes one batch in this thread. */
export async function encode(task: BenchTask): Promise<void> {
  await encoded(task);
}

/** The same, and what the batch says by service endpoint: all that a gateway's worker does before the store. */
export async function recognise(task: BenchTask): Promise<EndpointGroups> {
  const behaviours = await encoded(task);
  return groupByEndpoint(new FlowBatch(task.buffer), behaviours);
}
