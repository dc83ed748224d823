import { FlowBatch } from '../flow/batch.js';
import { FingerprintEncoder } from './encoder.js';
import { groupByEndpoint } from './workloads/endpoint.js';
import type { EndpointGroups } from './workloads/types.js';

let encoder: Promise<FingerprintEncoder> | undefined;
let turn: Promise<void> = Promise.resolve();

/** Encodes one batch in this thread; tasks of one thread wait for each other, the encoder is not reentrant. */
export async function encode(task: { readonly buffer: SharedArrayBuffer }): Promise<void> {
  encoder ??= FingerprintEncoder.load();
  const mine = Promise.all([encoder, turn]).then(([ready]) => ready.encode(new FlowBatch(task.buffer)));
  turn = mine.catch(() => {});
  await mine;
}

/** The same, and what the batch says by service endpoint: all that a gateway's worker does before the store. */
export async function recognise(task: { readonly buffer: SharedArrayBuffer }): Promise<EndpointGroups> {
  await encode(task);
  return groupByEndpoint(new FlowBatch(task.buffer));
}
