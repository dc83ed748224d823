import { mix, signOf } from './hash.js';
import { PAYLOAD_LOG } from './logarithms.js';
import type { BlockOffsets } from './schema.js';

const PAYLOADS = 8;
const EXACT_POSITIONS = 4;

/** The first payloads as logarithms, as exact sizes by position and as a bag, and their spread by direction. */
export function payloadShape(
  sizes: Int16Array,
  row: number,
  protocol: number,
  out: Float32Array,
  base: number,
  o: BlockOffsets,
): void {
  const at = row * PAYLOADS;
  let filled = 0;
  while (filled < PAYLOADS && sizes[at + filled] !== 0) filled += 1;
  if (filled === 0) return;
  const bagStep = 1 / filled;
  for (let i = 0; i < filled; i += 1) {
    const size = sizes[at + i]!;
    const log = PAYLOAD_LOG[Math.abs(size)]!;
    out[base + o.payloads + i] = size < 0 ? -log : log;
    if (i < EXACT_POSITIONS) {
      const exact = mix(size, protocol * 8 + i);
      out[base + o.payloadAt + (exact & 127)]! += signOf(exact);
    }
    let earlier = 0;
    let later = 0;
    for (let j = 0; j < filled; j += 1) {
      if (sizes[at + j] !== size) continue;
      if (j < i) earlier += 1;
      else later += 1;
    }
    if (earlier === 0) {
      const bag = mix(size, 0x1000 + protocol);
      out[base + o.payloadBag + (bag & 127)]! += signOf(bag) * Math.sqrt(later * bagStep);
    }
  }
  for (let d = 0; d < 2; d += 1)
    spread(sizes, at, filled, d === 0 ? 1 : -1, out, base + o.payloadShape + d * 4);
}

/** Minimum, maximum, mean and distinct share of one direction's first payloads, sizes as logarithms. */
function spread(
  sizes: Int16Array,
  at: number,
  filled: number,
  sign: number,
  out: Float32Array,
  to: number,
): void {
  let least = 0;
  let most = 0;
  let sum = 0;
  let count = 0;
  let distinct = 0;
  for (let i = 0; i < filled; i += 1) {
    const size = sizes[at + i]! * sign;
    if (size <= 0) continue;
    let seen = false;
    for (let j = 0; j < i && !seen; j += 1) seen = sizes[at + j]! * sign === size;
    if (!seen) distinct += 1;
    count += 1;
    sum += PAYLOAD_LOG[size]!;
    if (least === 0 || size < least) least = size;
    if (size > most) most = size;
  }
  if (count === 0) return;
  out[to] = PAYLOAD_LOG[least]!;
  out[to + 1] = PAYLOAD_LOG[most]!;
  out[to + 2] = sum / count;
  out[to + 3] = distinct / count;
}
