import { mix, signOf } from './hash.js';

const HEAD_BYTES = 16;

const isPrintable = (byte: number): boolean => byte >= 0x20 && byte < 0x7f;

/** The first payload bytes of each direction, where the meter was told to keep them. */
export function head(
  heads: readonly [Uint8Array, Uint8Array],
  row: number,
  out: Float32Array,
  to: number,
): void {
  for (let d = 0; d < 2; d += 1) {
    const bytes = heads[d]!;
    const at = row * HEAD_BYTES;
    let last = HEAD_BYTES;
    while (last > 0 && bytes[at + last - 1] === 0) last -= 1;
    if (last === 0) continue;
    const dense = to + d * 34;
    let printable = 0;
    let distinct = 0;
    for (let i = 0; i < HEAD_BYTES; i += 1) {
      const byte = bytes[at + i]!;
      out[dense + i] = byte / 255;
      if (isPrintable(byte)) {
        out[dense + HEAD_BYTES + i] = 1;
        printable += 1;
      }
      let earlier = 0;
      while (earlier < i && bytes[at + earlier] !== byte) earlier += 1;
      if (earlier === i) distinct += 1;
      if (i >= last) continue;
      const single = mix(byte, 0x300 + d * HEAD_BYTES + i);
      out[to + 68 + (single % 192)]! += signOf(single);
      if (i + 1 < last) {
        const pair = mix(byte * 256 + bytes[at + i + 1]!, 0x400 + d);
        out[to + 260 + (pair & 63)]! += signOf(pair);
      }
    }
    out[dense + 32] = printable / HEAD_BYTES;
    out[dense + 33] = distinct / HEAD_BYTES;
  }
}
