import { median } from '../base/statistics.js';

/** A linear model with an intercept, and how well it explains what it was fitted on. */
export interface LinearFit {
  readonly intercept: number;
  /** One per column. */
  readonly slopes: readonly number[];
  /** Explained share of the variance, 0..1, on the rows as they are (outliers included). */
  readonly r2: number;
  readonly rows: number;
}

/** Huber's constant: 95 % efficiency at the normal distribution (Huber, Robust Statistics, 1981). */
const HUBER = 1.345;
const ITERATIONS = 20;
/** Median absolute deviation → standard deviation of a normal distribution. */
const MAD_TO_SIGMA = 1.4826;
const MINIMUM_ROWS_PER_COLUMN = 10;

/** Solves the symmetric system `a x = b` by Gaussian elimination with pivoting; `undefined` when it is singular. */
function solve(a: readonly number[][], b: readonly number[]): number[] | undefined {
  const n = b.length;
  const m = a.map((row, i) => [...row, b[i]!]);
  for (let column = 0; column < n; column += 1) {
    let pivot = column;
    for (let row = column + 1; row < n; row += 1)
      if (Math.abs(m[row]![column]!) > Math.abs(m[pivot]![column]!)) pivot = row;
    const top = m[pivot]!;
    if (!(Math.abs(top[column]!) > 1e-12)) return undefined;
    [m[column], m[pivot]] = [top, m[column]!];
    for (let row = 0; row < n; row += 1) {
      if (row === column) continue;
      const factor = m[row]![column]! / top[column]!;
      if (factor === 0) continue;
      for (let k = column; k <= n; k += 1) m[row]![k]! -= factor * top[k]!;
    }
  }
  return m.map((row, i) => row[n]! / row[i]!);
}

function weighted(
  y: Float64Array,
  columns: readonly Float64Array[],
  weights: Float64Array,
): number[] | undefined {
  const size = columns.length + 1;
  const a = Array.from({ length: size }, () => new Array<number>(size).fill(0));
  const b = new Array<number>(size).fill(0);
  const x = new Float64Array(size);
  x[0] = 1;
  for (let i = 0; i < y.length; i += 1) {
    for (let j = 1; j < size; j += 1) x[j] = columns[j - 1]![i]!;
    const w = weights[i]!;
    for (let j = 0; j < size; j += 1) {
      b[j]! += w * x[j]! * y[i]!;
      for (let k = 0; k < size; k += 1) a[j]![k]! += w * x[j]! * x[k]!;
    }
  }
  return solve(a, b);
}

/**
 * Robust regression `y ≈ intercept + Σ slope · column` by iteratively re-weighted least squares with Huber's weights
 * (Holland & Welsch 1977). Rows in which any value is not known are left out. Columns that would get a negative slope
 * are dropped: more traffic never needs less of a resource, so such a slope tells of something else.
 *
 * @param y what is explained; NaN = not known
 * @param columns each as long as `y`
 * @returns `undefined` when there are too few rows, or `y` or all columns do not vary
 */
export function robustFit(y: Float64Array, columns: readonly Float64Array[]): LinearFit | undefined {
  const known: number[] = [];
  for (let i = 0; i < y.length; i += 1)
    if (Number.isFinite(y[i]!) && columns.every((column) => Number.isFinite(column[i]!))) known.push(i);
  if (known.length < MINIMUM_ROWS_PER_COLUMN * (columns.length + 1)) return undefined;
  const target = Float64Array.from(known, (i) => y[i]!);
  // Units differ by ten orders of magnitude: each column is scaled to 1 so that the system stays well conditioned.
  const scales = columns.map((column) => known.reduce((top, i) => Math.max(top, Math.abs(column[i]!)), 0));
  const scaled = columns.map((column, j) =>
    Float64Array.from(known, (i) => (scales[j]! > 0 ? column[i]! / scales[j]! : 0)),
  );
  let active = scaled.flatMap((column, j) => (column.some((v) => v !== column[0]) ? [j] : []));
  while (active.length > 0) {
    const used = active.map((j) => scaled[j]!);
    const beta = huber(target, used);
    if (beta === undefined) {
      // Collinear: the later column adds nothing that the earlier ones do not say.
      active = active.slice(0, -1);
      continue;
    }
    const negative = active.filter((_, k) => beta[k + 1]! < 0);
    if (negative.length > 0) {
      active = active.filter((j) => !negative.includes(j));
      continue;
    }
    const slopes = columns.map((_, j) => {
      const k = active.indexOf(j);
      return k < 0 ? 0 : beta[k + 1]! / scales[j]!;
    });
    return { intercept: beta[0]!, slopes, r2: explained(target, used, beta), rows: known.length };
  }
  return undefined;
}

function huber(y: Float64Array, columns: readonly Float64Array[]): number[] | undefined {
  const weights = new Float64Array(y.length).fill(1);
  let beta = weighted(y, columns, weights);
  for (let round = 0; round < ITERATIONS && beta !== undefined; round += 1) {
    const now = beta;
    const residuals = y.map((value, i) => value - predict(now, columns, i));
    const sigma = MAD_TO_SIGMA * median(residuals.map(Math.abs));
    if (!(sigma > 0)) return now;
    for (let i = 0; i < weights.length; i += 1)
      weights[i] = Math.min(1, (HUBER * sigma) / Math.max(1e-300, Math.abs(residuals[i]!)));
    const next = weighted(y, columns, weights);
    if (next === undefined) return now;
    const moved = next.reduce((top, value, j) => Math.max(top, Math.abs(value - now[j]!)), 0);
    beta = next;
    if (moved < 1e-9 * Math.max(1e-9, ...next.map(Math.abs))) break;
  }
  return beta;
}

const predict = (beta: readonly number[], columns: readonly Float64Array[], i: number): number =>
  columns.reduce((sum, column, j) => sum + beta[j + 1]! * column[i]!, beta[0]!);

function explained(y: Float64Array, columns: readonly Float64Array[], beta: readonly number[]): number {
  const mean = y.reduce((sum, value) => sum + value, 0) / y.length;
  let left = 0;
  let all = 0;
  for (let i = 0; i < y.length; i += 1) {
    left += (y[i]! - predict(beta, columns, i)) ** 2;
    all += (y[i]! - mean) ** 2;
  }
  return all > 0 ? Math.max(0, 1 - left / all) : 0;
}
