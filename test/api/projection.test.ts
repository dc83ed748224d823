import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alignedTo, FingerprintProjection, principalBasis, project } from '../../src/api/projection.js';

const random = (seed: number) => {
  let state = seed >>> 0;
  return (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
};

/** Points in 8 dimensions that spread most along two known directions. */
function cloud(seed: number, count = 120): { points: number[][]; first: number[]; second: number[] } {
  const next = random(seed);
  const first = [1, 1, 0, 0, 1, 0, 0, 0].map((v) => v / Math.sqrt(3));
  const second = [0, 0, 1, -1, 0, 0, 1, 0].map((v) => v / Math.sqrt(3));
  const points = Array.from({ length: count }, () => {
    const [a, b] = [next() * 10, next() * 4];
    return first.map((v, i) => 3 + a * v + b * second[i]! + next() * 0.05);
  });
  return { points, first, second };
}

describe('the fingerprint map', () => {
  test('its axes are the two directions of largest variance', () => {
    const { points, first, second } = cloud(1);
    const basis = principalBasis(points)!;
    const along = (axis: Float64Array, direction: number[]): number =>
      Math.abs(direction.reduce((sum, v, i) => sum + v * axis[i]!, 0));
    expect(along(basis.axes[0], first)).toBeGreaterThan(0.999);
    expect(along(basis.axes[1], second)).toBeGreaterThan(0.999);
    expect(basis.explained[0] + basis.explained[1]).toBeGreaterThan(0.99);
    expect(basis.explained[0]).toBeGreaterThan(basis.explained[1]);
  });

  test('the order of the points and their number twice change nothing', () => {
    const { points } = cloud(2);
    const [a, b] = [principalBasis(points)!, principalBasis([...points, ...points].reverse())!];
    for (const axis of [0, 1] as const)
      for (const [i, value] of a.axes[axis].entries()) expect(b.axes[axis][i]).toBeCloseTo(value, 6);
  });

  test('any turned or mirrored basis is turned back to where its points were', () => {
    const { points } = cloud(3);
    const basis = principalBasis(points)!;
    fc.assert(
      fc.property(fc.double({ min: -4, max: 4, noNaN: true }), fc.boolean(), (angle, mirrored) => {
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const [x, y] = basis.axes;
        const sign = mirrored ? -1 : 1;
        const turned = {
          ...basis,
          axes: [x.map((v, i) => c * v + s * y[i]!), x.map((v, i) => sign * (-s * v + c * y[i]!))] as const,
        };
        const back = alignedTo(basis, turned, points);
        for (const point of points.slice(0, 10))
          for (const k of [0, 1] as const)
            expect(project(back, point)[k]).toBeCloseTo(project(basis, point)[k], 8);
      }),
    );
  });

  test('axes stay while they are young, and move little when they are made anew from other flows', () => {
    const projection = new FingerprintProjection(1000);
    const { points } = cloud(4);
    const first = projection.basisFor(points, 0)!;
    expect(projection.basisFor(cloud(5).points, 999)).toBe(first);
    const second = projection.basisFor(cloud(5).points, 1001)!;
    expect(second.id).not.toBe(first.id);
    for (const point of points) {
      const [a, b] = [project(first, point), project(second, point)];
      expect(Math.hypot(a[0] - b[0], a[1] - b[1])).toBeLessThan(1.5);
    }
    expect(new FingerprintProjection().basisFor([], 0)).toBeUndefined();
  });
});
