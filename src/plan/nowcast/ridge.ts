/**
 * Weighted ridge regression by its normal equations: min Σ w (y - x·β)² + λ Σ β², the last feature (the constant)
 * unpenalised.
 *
 * @param rows row-major features, `width` to a row
 */
export function ridge(
  rows: Float64Array,
  targets: Float64Array,
  weights: Float64Array,
  width: number,
  lambda: number,
): Float64Array {
  const normal = new Float64Array(width * width);
  const right = new Float64Array(width);
  for (let r = 0; r < targets.length; r += 1) {
    const at = r * width;
    for (let i = 0; i < width; i += 1) {
      const wx = weights[r]! * rows[at + i]!;
      right[i]! += wx * targets[r]!;
      for (let j = 0; j <= i; j += 1) normal[i * width + j]! += wx * rows[at + j]!;
    }
  }
  for (let i = 0; i < width; i += 1) normal[i * width + i]! += i < width - 1 ? lambda : 1e-6;
  return solveCholesky(normal, right, width);
}

/** Solves A x = b for a symmetric positive definite A given by its lower triangle; A is overwritten. */
function solveCholesky(a: Float64Array, b: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k += 1) sum -= a[i * n + k]! * a[j * n + k]!;
      a[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / a[j * n + j]!;
    }
  }
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i += 1) {
    for (let k = 0; k < i; k += 1) x[i]! -= a[i * n + k]! * x[k]!;
    x[i]! /= a[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < n; k += 1) x[i]! -= a[k * n + i]! * x[k]!;
    x[i]! /= a[i * n + i]!;
  }
  return x;
}
