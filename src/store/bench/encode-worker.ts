import { move } from 'piscina';
import { FlowBatch } from '../../flow/batch.js';
import { encodeFlowBlock } from '../native-block.js';

/** A thread that encodes, as the pipeline's do. */
export function encode(buffer: SharedArrayBuffer): ReturnType<typeof move> {
  const block = encodeFlowBlock(new FlowBatch(buffer), {
    gateway: 'bench',
    links: { 1: { linkId: 'private', network: 'private' }, 2: { linkId: 'public', network: 'public' } },
  });
  // Handed over, not copied.
  return move(block);
}
