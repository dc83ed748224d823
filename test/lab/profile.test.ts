import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LAB_WORKLOADS, latencyQuantileMs, loadLevel } from '../../src/lab/index.js';
import { dnsAnswer, dnsQuestion } from '../../src/lab/traffic/dns.js';
import { LATENCY_BUCKETS, latencyBucket } from '../../src/lab/traffic/latency.js';
import { TokenBucket } from '../../src/lab/traffic/token-bucket.js';

const day = { seasonMs: 60_000, seed: 3, epochMs: 0 };

describe('day profiles', () => {
  test('the same seed gives the same day, and days differ a little', () => {
    for (const { name, shape } of LAB_WORKLOADS) {
      const levels = Array.from({ length: 120 }, (_, i) => loadLevel(name, shape, day, i * 1000));
      expect(levels).toEqual(Array.from({ length: 120 }, (_, i) => loadLevel(name, shape, day, i * 1000)));
      const first = levels.slice(0, 60);
      const second = levels.slice(60);
      expect(second).not.toEqual(first);
      // Same shape: one factor between the two days, within the jitter.
      const ratios = first.map((level, i) => (level === 0 ? 1 : second[i]! / level)).filter((r) => r !== 1);
      for (const ratio of ratios) {
        expect(ratio).toBeCloseTo(ratios[0]!, 9);
        expect(Math.abs(ratio - 1)).toBeLessThan(0.2);
      }
    }
  });

  test('every workload has a peak and a trough', () => {
    for (const { name, shape } of LAB_WORKLOADS) {
      const levels = Array.from({ length: 600 }, (_, i) => loadLevel(name, shape, day, i * 100));
      expect(Math.max(...levels)).toBeGreaterThan(0.8);
      expect(Math.max(...levels)).toBeLessThan(1.3);
      expect(Math.min(...levels)).toBeLessThan(0.85 * Math.max(...levels));
    }
  });
});

test('a token bucket never gives more than rate × time + burst', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ dtMs: fc.integer({ min: 0, max: 400 }), rate: fc.integer({ min: 0, max: 5000 }) }),
        {
          minLength: 1,
          maxLength: 60,
        },
      ),
      (steps) => {
        const bucket = new TokenBucket(0, 0.25);
        let now = 0;
        let allowed = 1;
        let taken = 0;
        for (const { dtMs, rate } of steps) {
          now += dtMs;
          allowed += (dtMs / 1000) * rate;
          bucket.refill(now, rate);
          const take = bucket.available;
          expect(take).toBeLessThanOrEqual(Math.max(1, 0.25 * rate));
          bucket.take(take);
          taken += take;
        }
        expect(taken).toBeLessThanOrEqual(allowed + 1e-6);
      },
    ),
  );
});

test('latency quantiles are within a bucket of the exact ones', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.06, max: 5000, noNaN: true }), { minLength: 1, maxLength: 200 }),
      fc.constantFrom(0.5, 0.9, 0.99),
      (latencies, quantile) => {
        const counts = new Array<number>(LATENCY_BUCKETS).fill(0);
        for (const ms of latencies) counts[latencyBucket(ms)]! += 1;
        const sorted = [...latencies].sort((x, y) => x - y);
        const exact = sorted[Math.max(0, Math.ceil(quantile * sorted.length - 1e-9) - 1)]!;
        const estimate = latencyQuantileMs(counts, quantile);
        expect(estimate / exact).toBeGreaterThan(0.999);
        expect(estimate / exact).toBeLessThan(1.1001);
      },
    ),
  );
});

test('DNS messages follow RFC 1035', () => {
  const question = dnsQuestion(0x1234, 'www.example.com', 1);
  // The wire image that RFC 1035 4.1 prescribes, written out by hand.
  expect(question.toString('hex')).toBe(
    `${'1234010000010000000000000'.slice(0, 24)}03777777076578616d706c6503636f6d0000010001`,
  );
  const answer = dnsAnswer(question)!;
  expect(answer.readUInt16BE(0)).toBe(0x1234);
  expect(answer.readUInt16BE(2) & 0x8000).toBe(0x8000);
  expect(answer.length).toBe(question.length + answer.readUInt16BE(6) * 16);
  expect(dnsAnswer(Buffer.from('nonsense'))).toBeUndefined();
});
