import { FlowBatch } from '../../flow/batch.js';
import { FLOW_COLUMNS, SLAB_HEADER, slabLayout } from '../../flow/columns.js';

/** Small deterministic generator (mulberry32): two runs measure the same data. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** A full batch: every column filled, histograms and vector too, with values of the size that traffic has. */
export function syntheticBatch(rows: number, seed: number, nowMs: number): FlowBatch {
  const layout = slabLayout(rows);
  const buffer = new SharedArrayBuffer(layout.byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.rows] = rows;
  header[SLAB_HEADER.capacity] = rows;
  const batch = new FlowBatch(buffer);
  const random = randomOf(seed);
  for (const { name, type } of FLOW_COLUMNS) {
    const view = batch.column(name, type);
    if (view instanceof BigUint64Array) {
      for (let i = 0; i < view.length; i += 1) view[i] = BigInt(random() % 100_000);
    } else if (view instanceof Float32Array) {
      for (let i = 0; i < view.length; i += 1) view[i] = random() / 2 ** 32 - 0.5;
    } else {
      for (let i = 0; i < view.length; i += 1) view[i] = random() % 64;
    }
  }
  const start = batch.column('flowStartNanoseconds', 'u64');
  const end = batch.column('flowEndNanoseconds', 'u64');
  const now = BigInt(nowMs) * 1_000_000n;
  for (let row = 0; row < rows; row += 1) {
    end[row] = now - BigInt(random() % 1_000_000_000);
    start[row] = end[row]! - BigInt(random() % 1_000_000_000);
  }
  batch.column('ingressInterface', 'u32').fill(1);
  batch.column('egressInterface', 'u32').fill(2);
  batch.column('samplingPacketInterval', 'u32').fill(1);
  // As most traffic: every record also goes to `fingerprints`.
  batch.column('flowKind', 'u8').fill(4);
  return batch;
}
