import { loadAddon, type NativeAddon } from '../capture/addon.js';

interface OctetsAddon extends NativeAddon {
  joinOctets(target: Uint8Array, parts: readonly Uint8Array[]): number;
}

/** The octets that a view shows, not copied. */
export const octetsOf = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** The parts one behind the other, in memory of their own that may be handed to another thread. */
export function joinOctets(parts: readonly Uint8Array[]): Uint8Array {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const joined = new Uint8Array(Buffer.allocUnsafeSlow(total).buffer);
  loadAddon<OctetsAddon>().joinOctets(joined, parts);
  return joined;
}

/** The same octets `times` times over: doubled in place, because a call for each would cost more than its octets. */
export function repeated(octets: Uint8Array, times: number): Uint8Array {
  const total = octets.length * times;
  const all = new Uint8Array(total);
  if (total === 0) return all;
  all.set(octets);
  for (let filled = octets.length; filled < total; filled *= 2) {
    all.copyWithin(filled, 0, Math.min(filled, total - filled));
  }
  return all;
}

/** Unsigned LEB128, as ClickHouse's Native format writes counts and lengths. */
export function leb128(value: number): Uint8Array {
  const octets: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    octets.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  octets.push(rest);
  return Uint8Array.from(octets);
}

/** A text as the Native format writes it: length and octets. */
export function textOctets(text: string): Uint8Array {
  const octets = Buffer.from(text, 'utf8');
  return Buffer.concat([leb128(octets.length), octets]);
}

/** A 64-bit column as pairs of 32-bit words: copied without making a BigInt of each value. */
export const wordsOf = (view: BigUint64Array): Uint32Array =>
  new Uint32Array(view.buffer, view.byteOffset, view.length * 2);
