import type { Dimension } from './model-file.js';

/** Number of elements. */
export const product = (shape: readonly number[]): number => shape.reduce((total, size) => total * size, 1);

export const sameShape = (a: readonly Dimension[], b: readonly Dimension[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i]);

/** The shape of an element-wise operation under numpy's broadcasting rules. */
export function broadcast(a: readonly Dimension[], b: readonly Dimension[]): Dimension[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[i - (rank - a.length)] ?? 1;
    const right = b[i - (rank - b.length)] ?? 1;
    return left === 1 ? right : left;
  });
}
