import { FlowBatch } from '../../flow/batch.js';
import { encodeFlowBlock } from '../native-block.js';

/** A thread that encodes, as the pipeline's do. */
export function encode(buffer: SharedArrayBuffer): Uint8Array {
  return encodeFlowBlock(new FlowBatch(buffer), {
    gateway: 'bench',
    links: { 1: { linkId: 'private', network: 'private' }, 2: { linkId: 'public', network: 'public' } },
  });
}
