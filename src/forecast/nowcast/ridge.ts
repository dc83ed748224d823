import { solveCholesky } from '../cholesky.js';

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
  // The ridge makes it positive definite; where rounding says otherwise, no rule is better than a wild one.
  return solveCholesky(normal, right) ?? new Float64Array(width);
}
