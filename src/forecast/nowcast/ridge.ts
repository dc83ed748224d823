import { solveCholesky } from '../cholesky.js';

/** Row-major features, `width` to a row, the last one the constant; a target and a weight a row. */
export interface RegressionRows {
  readonly features: Float64Array;
  readonly targets: Float64Array;
  readonly weights: Float64Array;
  readonly width: number;
}

/** Weighted ridge regression by its normal equations: min Σ w (y - x·β)² + λ Σ β², the constant unpenalised. */
export function ridge(rows: RegressionRows, lambda: number): Float64Array {
  const { features, targets, weights, width } = rows;
  const normal = new Float64Array(width * width);
  const right = new Float64Array(width);
  for (let r = 0; r < targets.length; r += 1) {
    const at = r * width;
    for (let i = 0; i < width; i += 1) {
      const wx = weights[r]! * features[at + i]!;
      right[i]! += wx * targets[r]!;
      for (let j = 0; j <= i; j += 1) normal[i * width + j]! += wx * features[at + j]!;
    }
  }
  for (let i = 0; i < width; i += 1) normal[i * width + i]! += i < width - 1 ? lambda : 1e-6;
  // The ridge makes it positive definite; where rounding says otherwise, no rule is better than a wild one.
  return solveCholesky(normal, right) ?? new Float64Array(width);
}

const ROUNDS = 4;
/** Residuals below this share of the mean one weigh no more than it. */
const LEAST_RESIDUAL = 0.1;

/**
 * The same with absolute instead of squared residuals, by iteratively reweighted least squares (Schlossmacher, 1973):
 * the conditional median instead of the mean, which bursts do not pull away.
 *
 * @param start the solution for squared residuals
 */
export function robustRidge(rows: RegressionRows, lambda: number, start: Float64Array): Float64Array {
  const { features, targets, weights, width } = rows;
  const count = targets.length;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const residuals = new Float64Array(count);
  const reweighted = new Float64Array(count);
  let beta = start;
  for (let round = 0; round < ROUNDS; round += 1) {
    let mean = 0;
    for (let r = 0; r < count; r += 1) {
      let residual = targets[r]!;
      for (let i = 0; i < width; i += 1) residual -= beta[i]! * features[r * width + i]!;
      residuals[r] = Math.abs(residual);
      mean += (weights[r]! / total) * residuals[r]!;
    }
    if (!(mean > 0)) return beta;
    for (let r = 0; r < count; r += 1)
      reweighted[r] = (weights[r]! * mean) / Math.max(residuals[r]!, LEAST_RESIDUAL * mean);
    beta = ridge({ features, targets, weights: reweighted, width }, lambda);
  }
  return beta;
}
