import { createHash } from 'node:crypto';

/** Two axes in the space of fingerprints, and the point that is their origin. */
export interface Basis {
  readonly id: string;
  readonly mean: Float64Array;
  readonly axes: readonly [Float64Array, Float64Array];
  /** Share of the variance that each axis shows. */
  readonly explained: readonly [number, number];
}

const MINIMUM_POINTS = 3;
const ITERATIONS = 200;

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += a[i]! * b[i]!;
  return sum;
};

/** The leading eigenvector of a symmetric matrix by power iteration, and its eigenvalue. */
function leading(matrix: readonly Float64Array[], without?: Float64Array): readonly [Float64Array, number] {
  const n = matrix.length;
  // Starts in a direction that depends on nothing but the size, so that the same points give the same axes.
  let vector = Float64Array.from({ length: n }, (_, i) => Math.cos(i + 1));
  let value = 0;
  for (let k = 0; k < ITERATIONS; k += 1) {
    if (without !== undefined) {
      const along = dot(vector, without);
      vector = vector.map((x, i) => x - along * without[i]!);
    }
    const next = Float64Array.from(matrix, (row) => dot(row, vector));
    const length = Math.sqrt(dot(next, next));
    if (length < 1e-12) return [vector.map(() => 0), 0];
    value = length;
    vector = next.map((x) => x / length);
  }
  if (without !== undefined) {
    const along = dot(vector, without);
    vector = vector.map((x, i) => x - along * without[i]!);
  }
  const length = Math.sqrt(dot(vector, vector));
  return [vector.map((x) => (length > 0 ? x / length : 0)), value];
}

/** Principal component analysis to two axes (Pearson 1901); `undefined` with too few points. */
export function principalBasis(points: readonly ArrayLike<number>[]): Basis | undefined {
  if (points.length < MINIMUM_POINTS) return undefined;
  const n = points[0]!.length;
  const mean = new Float64Array(n);
  for (const point of points) for (let i = 0; i < n; i += 1) mean[i]! += point[i]! / points.length;
  const covariance = Array.from({ length: n }, () => new Float64Array(n));
  let total = 0;
  for (const point of points)
    for (let i = 0; i < n; i += 1) {
      const di = point[i]! - mean[i]!;
      total += (di * di) / points.length;
      for (let j = 0; j < n; j += 1) covariance[i]![j]! += (di * (point[j]! - mean[j]!)) / points.length;
    }
  const [first, firstValue] = leading(covariance);
  const [second, secondValue] = leading(covariance, first);
  const explained = [firstValue, secondValue].map((value) => (total > 0 ? value / total : 0));
  return named({ mean, axes: [signed(first), signed(second)], explained: [explained[0]!, explained[1]!] });
}

/** An axis has two directions; the one in which its largest component is positive is taken. */
function signed(axis: Float64Array): Float64Array {
  let largest = 0;
  for (const [i, value] of axis.entries()) if (Math.abs(value) > Math.abs(axis[largest]!) + 1e-9) largest = i;
  return axis[largest]! < 0 ? axis.map((value) => -value) : axis;
}

const named = (basis: Omit<Basis, 'id'>): Basis => {
  const hash = createHash('sha256');
  for (const part of [basis.mean, ...basis.axes])
    hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return { ...basis, id: hash.digest('hex').slice(0, 12) };
};

export const project = (basis: Basis, point: ArrayLike<number>): readonly [number, number] => {
  const origin = [dot(basis.mean, basis.axes[0]), dot(basis.mean, basis.axes[1])] as const;
  return [dot(point, basis.axes[0]) - origin[0], dot(point, basis.axes[1]) - origin[1]];
};

/**
 * A basis turned and mirrored within its own plane so that the points lie as near as possible to where an earlier basis
 * put them (orthogonal Procrustes, Schönemann 1966, in two dimensions).
 */
export function alignedTo(earlier: Basis, basis: Basis, points: readonly ArrayLike<number>[]): Basis {
  let [a, b, c, d] = [0, 0, 0, 0];
  const before = points.map((point) => project(earlier, point));
  const now = points.map((point) => project(basis, point));
  const centre = (list: readonly (readonly [number, number])[], k: 0 | 1): number =>
    list.reduce((sum, point) => sum + point[k], 0) / Math.max(1, list.length);
  const [bx, by, nx, ny] = [centre(before, 0), centre(before, 1), centre(now, 0), centre(now, 1)];
  for (const [i, [x, y]] of now.entries()) {
    const [u, v] = [before[i]![0] - bx, before[i]![1] - by];
    a += (x - nx) * u;
    b += (x - nx) * v;
    c += (y - ny) * u;
    d += (y - ny) * v;
  }
  // Best rotation and best reflection in closed form; the one with the larger trace fits better.
  const rotation = Math.hypot(a + d, b - c);
  const reflection = Math.hypot(a - d, b + c);
  const mirror = reflection > rotation;
  const angle = mirror ? Math.atan2(b + c, a - d) : Math.atan2(b - c, a + d);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [first, second] = basis.axes;
  const turned = (p: number, q: number): Float64Array => first.map((value, i) => p * value + q * second[i]!);
  return named({
    mean: basis.mean,
    explained: basis.explained,
    axes: mirror ? [turned(cos, sin), turned(sin, -cos)] : [turned(cos, -sin), turned(sin, cos)],
  });
}

/** Keeps the map's axes: the same until they are old, and then turned to fit what was shown before. */
export class FingerprintProjection {
  readonly #keepMs: number;
  #basis: Basis | undefined;
  #madeMs = 0;

  constructor(keepMs = 600_000) {
    this.#keepMs = keepMs;
  }

  /** The axes to show these points with; `undefined` as long as there are too few to have any. */
  basisFor(points: readonly ArrayLike<number>[], nowMs: number): Basis | undefined {
    const old = this.#basis;
    if (old !== undefined && nowMs - this.#madeMs < this.#keepMs) return old;
    const fresh = principalBasis(points);
    if (fresh === undefined) return old;
    this.#basis = old === undefined ? fresh : alignedTo(old, fresh, points);
    this.#madeMs = nowMs;
    return this.#basis;
  }
}
