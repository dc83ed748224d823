/** A 32-bit mix of two words (the finaliser of MurmurHash3, public domain): for signed feature hashing. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

/** +1 or -1 by the hash's top bit; its low bits choose the slot. */
export const signOf = (hash: number): number => (hash >>> 31 === 0 ? 1 : -1);
