/** Cosine of two vectors of equal length; 0 when either is zero. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>, length = a.length): number {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < length; i += 1) {
    dot += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return aa > 0 && bb > 0 ? dot / Math.sqrt(aa * bb) : 0;
}

/** The vector scaled to length 1 (zero stays zero). */
export function unit(vector: ArrayLike<number>, length = vector.length): Float32Array {
  let square = 0;
  for (let i = 0; i < length; i += 1) square += vector[i]! * vector[i]!;
  const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
  return Float32Array.from({ length }, (_, i) => vector[i]! * scale);
}

/**
 * Population stability index of two histograms of counts: Σ (p−q)·ln(p/q), with half a count added to every bin so
 * that empty ones stay finite. Below 0.1 is usually called stable, above 0.25 a shift.
 */
export function populationStability(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  let expectedSum = 0;
  let actualSum = 0;
  const smooth = 0.5;
  for (let i = 0; i < expected.length; i += 1) {
    expectedSum += expected[i]! + smooth;
    actualSum += actual[i]! + smooth;
  }
  let index = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const p = (expected[i]! + smooth) / expectedSum;
    const q = (actual[i]! + smooth) / actualSum;
    index += (q - p) * Math.log(q / p);
  }
  return index;
}
