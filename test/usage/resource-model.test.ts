import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HostMapping, hostOf, resourceModelOf, robustFit } from '../../src/usage/index.js';

const OPTIONS = { minimumR2: 0.3, windowSteps: 2016, memoryHeadroom: 0.15 };

/** Deterministic noise in −1..1. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

describe('the robust regression', () => {
  test('finds the line under a fifth of wild outliers, in units that are far apart', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 4, noNaN: true }),
        fc.double({ min: 0.5, max: 8, noNaN: true }),
        fc.double({ min: 0.001, max: 0.1, noNaN: true }),
        fc.integer(),
        (intercept, coresPerGbps, coresPerFlow, seed) => {
          const random = noise(seed);
          const n = 400;
          const bps = Float64Array.from({ length: n }, () => 1e9 * (1 + random()));
          const flows = Float64Array.from({ length: n }, () => 50 * (1 + random()));
          const y = bps.map(
            (b, i) => intercept + (coresPerGbps * b) / 1e9 + coresPerFlow * flows[i]! + 0.01 * random(),
          );
          for (let i = 0; i < n; i += 5) y[i] = y[i]! + 40 * (1 + random());
          const fit = robustFit(y, [bps, flows])!;
          expect(fit.slopes[0]! * 1e9).toBeCloseTo(coresPerGbps, 1);
          expect(Math.abs(fit.slopes[1]! - coresPerFlow)).toBeLessThan(0.002);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('unknown rows are left out, constant, collinear and negative columns too, and too few rows say nothing', () => {
    const x = Float64Array.from({ length: 100 }, (_, i) => i);
    const y = x.map((v) => 3 + 2 * v);
    y[7] = Number.NaN;
    const fit = robustFit(y, [x, x.map((v) => 2 * v)])!;
    expect(fit.rows).toBe(99);
    expect(3 + 2 * 50).toBeCloseTo(fit.intercept + fit.slopes[0]! * 50 + fit.slopes[1]! * 100, 6);
    expect(fit.r2).toBeCloseTo(1, 9);
    expect(robustFit(y, [x.map((v) => -v)])).toBeUndefined();
    expect(robustFit(y, [new Float64Array(100).fill(5)])).toBeUndefined();
    expect(robustFit(y.subarray(0, 15), [x.subarray(0, 15)])).toBeUndefined();
  });
});

describe('how CPU and memory are told ahead', () => {
  const n = 500;
  const random = noise(5);
  const bandwidthBps = Float64Array.from({ length: n }, (_, i) => 1e8 * (2 + Math.sin(i / 20)));
  const flowsPerSecond = Float64Array.from({ length: n }, () => 20 + 5 * random());
  const unknown = new Float64Array(n).fill(Number.NaN);

  test('by bandwidth where that explains it, by itself where not, by configuration without telemetry', () => {
    const follows = bandwidthBps.map((b) => 0.5 + (3 * b) / 1e9 + 0.02 * random());
    const model = resourceModelOf(
      { cpuCores: follows, memoryBytes: unknown, bandwidthBps, flowsPerSecond },
      OPTIONS,
    );
    expect(model.cpu).toMatchObject({ kind: 'follows-bandwidth' });
    if (model.cpu.kind === 'follows-bandwidth') {
      expect(model.cpu.perBps * 1e9).toBeCloseTo(3, 1);
      expect(model.cpu.r2).toBeGreaterThan(0.9);
    }
    expect(model.memory).toEqual({ kind: 'configured' });
    const own = Float64Array.from({ length: n }, () => 4 + random());
    const independent = resourceModelOf(
      { cpuCores: own, memoryBytes: own, bandwidthBps, flowsPerSecond },
      OPTIONS,
    );
    expect(independent.cpu.kind).toBe('own-forecast');
    expect(
      resourceModelOf({ cpuCores: unknown, memoryBytes: unknown, bandwidthBps, flowsPerSecond }, OPTIONS),
    ).toEqual({
      cpu: { kind: 'configured' },
      memory: { kind: 'configured' },
    });
  });

  test('memory is the highest of the window with headroom; what lies before the window is forgotten', () => {
    const memoryBytes = new Float64Array(n).fill(1e9);
    memoryBytes[0] = 9e9;
    memoryBytes[n - 3] = 2e9;
    memoryBytes[n - 2] = Number.NaN;
    const model = resourceModelOf(
      { cpuCores: unknown, memoryBytes, bandwidthBps, flowsPerSecond },
      { ...OPTIONS, windowSteps: 100 },
    );
    expect(model.memory).toEqual({ kind: 'windowed-maximum', bytes: 2e9 * 1.15, headroom: 0.15 });
  });
});

describe('addresses', () => {
  test('an instance label is its host with or without a port, in every notation', () => {
    expect(hostOf('192.0.2.1:9100')).toBe('192.0.2.1');
    expect(hostOf('[2001:db8::1]:9100')).toBe('2001:db8::1');
    expect(hostOf('[2001:db8::1]')).toBe('2001:db8::1');
    expect(hostOf('2001:db8::1')).toBe('2001:db8::1');
    expect(hostOf('db.internal:9100')).toBe('db.internal');
    expect(hostOf('db.internal')).toBe('db.internal');
    expect(hostOf('')).toBe('');
  });

  test('shares add up to one wherever anything is known, and nothing is known before or long after', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            workloadId: fc.integer({ min: 1, max: 4 }),
            step: fc.integer({ min: 10, max: 60 }),
            octets: fc.integer({ min: 0, max: 1000 }),
          }),
          { maxLength: 30 },
        ),
        fc.integer({ min: 0, max: 100 }),
        (seen, at) => {
          const steps = seen.map((s) => ({ ...s, address: 'a', stepStartMs: s.step * 1000 }));
          const mapping = new HostMapping(steps, 1000, 5000);
          const shares = mapping.sharesAt('a', at * 1000);
          // A plain search as the oracle.
          const last = Math.max(...seen.filter((s) => s.octets > 0 && s.step <= at).map((s) => s.step));
          const expected = Number.isFinite(last) && at < last + 6;
          expect(shares.size > 0).toBe(expected);
          if (!expected) return;
          expect([...shares.values()].reduce((sum, v) => sum + v, 0)).toBeCloseTo(1, 12);
          const then = seen.filter((s) => s.step === last && s.octets > 0);
          expect(new Set(shares.keys())).toEqual(new Set(then.map((s) => s.workloadId)));
          expect(mapping.sharesAt('b', at * 1000).size).toBe(0);
        },
      ),
    );
  });
});
