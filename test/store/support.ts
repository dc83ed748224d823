import pino from 'pino';
import { FlowBatch } from '../../src/flow/batch.js';
import { FLOW_COLUMNS, SLAB_HEADER, slabLayout } from '../../src/flow/columns.js';
import type { BlockOptions } from '../../src/store/index.js';
import { writeApplication } from '../support/application-text.js';

export const logger = pino({ level: 'silent' });
export const links: BlockOptions['links'] = {
  2: { linkId: 'private', network: 'private' },
  3: { linkId: 'public-a', network: 'public' },
};
/** When the rows of {@link makeBatch} end. */
export const NOW_NS = BigInt(Date.now()) * 1_000_000n;

/** A batch whose every column holds values that depend on row and column, at the edges of their types. */
export function makeBatch(rows: number, seed = 0): FlowBatch {
  const layout = slabLayout(Math.max(rows, 1));
  const buffer = new SharedArrayBuffer(layout.byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.rows] = rows;
  header[SLAB_HEADER.capacity] = layout.capacity;
  const batch = new FlowBatch(buffer);
  for (const [index, { name, type, width }] of FLOW_COLUMNS.entries()) {
    const view = batch.column(name, type);
    for (let i = 0; i < rows * width; i += 1) {
      const value = (i * 31 + index * 7 + seed) % 100;
      if (view instanceof BigUint64Array) view[i] = BigInt(value);
      else view[i] = type === 'f32' ? value / 8 : type === 'i16' ? value - 50 : value;
    }
  }
  const end = batch.column('flowEndNanoseconds', 'u64');
  const start = batch.column('flowStartNanoseconds', 'u64');
  const octets = batch.column('octetDeltaCount', 'u64');
  const [packets, reverse] = [
    batch.column('packetDeltaCount', 'u64'),
    batch.column('reversePacketDeltaCount', 'u64'),
  ];
  let total = 0;
  for (let row = 0; row < rows; row += 1) {
    start[row] = NOW_NS - 5_000_000_000n;
    end[row] = NOW_NS + BigInt(row);
    octets[row] = row === 0 ? 0xffff_ffff_ffff_ffffn : BigInt(row * 1000 + seed);
    batch.column('ingressInterface', 'u32')[row] = row % 2 === 0 ? 2 : 3;
    batch.column('egressInterface', 'u32')[row] = row % 2 === 0 ? 3 : 2;
    batch.column('samplingPacketInterval', 'u32')[row] = 1;
    batch.column('workloadId', 'u32')[row] = row % 3;
    batch.column('flowKind', 'u8')[row] = 4;
    total += Number(packets[row]! + reverse[row]!);
  }
  for (let row = seed % 3; row < Math.min(rows, 40); row += 3) {
    writeApplication(batch, row, {
      tlsServerName: `host${row}.example.org`,
      httpRequestHost: 'h'.repeat(row * 5),
      quicVersion: row === 3 ? 0xffffffff : row,
      ...(row % 2 === 0 ? {} : { headerFields: { opcode: '0a', tenant: '00ff'.repeat(row) } }),
    });
  }
  header[SLAB_HEADER.packetsLow] = total;
  return batch;
}

/** Uniform numbers in [0, 1) that a seed repeats (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
