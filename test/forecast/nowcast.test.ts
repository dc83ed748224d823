import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Nowcast } from '../../src/forecast/nowcast/nowcast.js';
import { PolynomialWeights } from '../../src/forecast/nowcast/polynomial-weights.js';
import { ridge, robustRidge } from '../../src/forecast/nowcast/ridge.js';
import { scoreNowcast } from '../../src/forecast/nowcast/score.js';
import { parseSeries } from '../../src/forecast/read-series.js';

const data = join(process.env.TIDEGATE_DATA ?? join(import.meta.dirname, '../../../shared/data'), 'series');

/** Deterministic noise in [-1, 1). */
const noise = (i: number): number => (((i + 1) * 2654435761) >>> 0) / 2 ** 31 - 1;

describe('weights of a mixture', () => {
  it('are a share each, whatever is learnt', () => {
    const step = fc.tuple(
      fc.array(fc.double({ noNaN: true, min: -1e15, max: 1e15 }), { minLength: 3, maxLength: 3 }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(step, fc.double({ noNaN: true, min: -1e15, max: 1e15 })), { maxLength: 40 }),
        (steps) => {
          const mixture = new PolynomialWeights(3, 10);
          for (const [[said], actual] of steps) mixture.learn(mixture.weights, said, actual);
          expect(mixture.weights.every((weight) => weight >= 0 && weight <= 1)).toBe(true);
          expect(mixture.weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  it('err hardly more than the best fixed mixture, which beats every forecaster', () => {
    const mixture = new PolynomialWeights(3, 1e9);
    const errors = { mixed: 0, single: [0, 0, 0], half: 0 };
    for (let t = 0; t < 4000; t += 1) {
      // Two that miss by the same to opposite sides half the time, and one that is far off.
      const said = [10 + 2 * noise(2 * t), 10 - 2 * noise(2 * t), 17];
      const actual = 10 + 0.1 * noise(2 * t + 1);
      const { weights } = mixture;
      const of = (mix: ArrayLike<number>) => said.reduce((sum, value, m) => sum + mix[m]! * value, 0);
      errors.mixed += Math.abs(of(weights) - actual);
      errors.half += Math.abs(of([0.5, 0.5, 0]) - actual);
      for (let m = 0; m < 3; m += 1) errors.single[m]! += Math.abs(said[m]! - actual);
      mixture.learn(weights, said, actual);
    }
    expect(errors.mixed).toBeLessThan(0.2 * Math.min(...errors.single));
    expect(errors.mixed).toBeLessThan(4 * errors.half);
    expect(mixture.weights[2]).toBeLessThan(0.01);
  });

  it('do not depend on the unit', () => {
    const one = new PolynomialWeights(2, 50);
    const thousand = new PolynomialWeights(2, 50);
    for (let t = 0; t < 100; t += 1) {
      const said = [5 + noise(t), 5 + 3 * noise(t + 7)];
      one.learn(one.weights, said, 5);
      thousand.learn(
        thousand.weights,
        said.map((value) => 1024 * value),
        5120,
      );
    }
    expect([...thousand.weights]).toEqual([...one.weights]);
  });
});

describe('robust ridge', () => {
  it('finds the line that a burst in one row of six hides from least squares', () => {
    const count = 300;
    const features = new Float64Array(2 * count);
    const targets = new Float64Array(count);
    for (let r = 0; r < count; r += 1) {
      features[2 * r] = noise(r);
      features[2 * r + 1] = 1;
      targets[r] = 3 * noise(r) + 1 + (r % 6 === 0 ? 50 : 0);
    }
    const rows = { features, targets, weights: new Float64Array(count).fill(1), width: 2 };
    const squares = ridge(rows, 1e-6);
    expect(squares[1]).toBeGreaterThan(8);
    const robust = robustRidge(rows, 1e-6, squares);
    expect(robust[0]).toBeCloseTo(3, 0);
    expect(robust[1]).toBeLessThan(2);
  });
});

describe('nowcast', () => {
  const daily = (n: number): Float64Array =>
    Float64Array.from({ length: n }, (_, i) => 100 + 40 * Math.sin((2 * Math.PI * i) / 96) + 8 * noise(i));

  it('uses the past only', () => {
    const one = daily(96 * 8);
    const other = one.map((value, i) => (i >= 96 * 7 ? 5 * value : value));
    const said = (y: Float64Array): number[] => {
      const nowcast = new Nowcast(y, 96 * 4, { horizon: 2, stepsPerDay: 96 });
      return Array.from({ length: 96 * 3 }, (_, i) => nowcast.at(96 * 4 + i));
    };
    expect(said(other)).toEqual(said(one));
  });

  it('says a constant series exactly and never a negative rate', () => {
    const score = scoreNowcast(new Float64Array(96 * 20).fill(7), 96, 2);
    expect(score?.mae).toBeLessThan(1e-6);
    const nowcast = new Nowcast(
      daily(96 * 8).map((v, i) => (i % 50 < 45 ? 0 : v)),
      96 * 4,
      { horizon: 3, stepsPerDay: 96 },
    );
    for (let t = 96 * 4; t < 96 * 7; t += 1) expect(nowcast.at(t)).toBeGreaterThanOrEqual(0);
  });

  // A selected mixture of simple members reached these; the better of its two versions counts.
  it.skipIf(!existsSync(data)).each([
    ['isp/it_uk_5m.csv', 'time_count', 'bits', 0.704],
    ['cluster/azure_v2_5m.csv', 'timestamp', 'cpu_usage', 0.816],
    ['cluster/google2011_5m.csv', 'time_stamp', 'meanCPUUsage', 0.91],
    ['nab/ec2_cpu_utilization_825cc2.csv', 'timestamp', 'value', 1],
    ['nab/grok_asg_anomaly.csv', 'timestamp', 'value', 1],
  ])('errs on %s (of ../shared/data) at most as much as was reached before', (name, time, value, most) => {
    const file = join(data, name);
    const { observed } = parseSeries(readFileSync(file, 'utf8'), file, time, value);
    expect(scoreNowcast(observed, 288, 3)?.relativeToPersistence).toBeLessThanOrEqual(most);
  });
});
