import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { egressUsd, marginalUsdPerGb, monthEgressUsd, PriceBook } from '../../src/pricing/index.js';

const book = PriceBook.load();
const written = (text: string): string => {
  const file = join(mkdtempSync(join(tmpdir(), 'tidegate-prices-')), 'book.yaml');
  writeFileSync(file, text);
  return file;
};
const withTiers = (tiers: string): string =>
  written(
    `version: 1\ninstances: []\ntariffs:\n  - tariffId: t\n    description: d\n    source: s\n    date: 2026-01-01\n    egress: ${tiers}\n`,
  );

describe('the price book', () => {
  // 100 GB free, then $0.09 to 10 TB, $0.085 to 50 TB, $0.07 to 150 TB, $0.05 beyond, worked out by hand.
  test.each([
    [50, 0],
    [100, 0],
    [101, 0.09],
    [10_240, 10_140 * 0.09],
    [20_240, 10_140 * 0.09 + 10_000 * 0.085],
    [200_000, 10_140 * 0.09 + 40_960 * 0.085 + 102_400 * 0.07 + 46_400 * 0.05],
  ])('%d GB of AWS internet egress in a month', (gb, usd) => {
    expect(monthEgressUsd(book.tariff('aws-internet-us'), gb)).toBeCloseTo(usd, 6);
  });

  test('a bill is the sum of its parts, never falls, and its slope is the marginal price', () => {
    const volume = fc.double({ min: 0, max: 3e5, noNaN: true });
    for (const id of book.tariffIds) {
      const tariff = book.tariff(id);
      fc.assert(
        fc.property(volume, volume, (a, b) => {
          const whole = monthEgressUsd(tariff, a + b);
          expect(monthEgressUsd(tariff, a) + egressUsd(tariff, a, b)).toBeCloseTo(whole, 4);
          expect(whole).toBeGreaterThanOrEqual(monthEgressUsd(tariff, a) - 1e-9);
          const next = egressUsd(tariff, a, 1e-6) / 1e-6;
          expect(next).toBeCloseTo(marginalUsdPerGb(tariff, a), 3);
        }),
        { numRuns: 50 },
      );
    }
  });

  test.each([
    ['a negative price', '[{ usdPerGb: -1 }]', /price cannot be negative/],
    ['a gap: no last tier', '[{ upToGb: 10, usdPerGb: 1 }]', /last has none/],
    [
      'tiers that shrink',
      '[{ upToGb: 10, usdPerGb: 1 }, { upToGb: 5, usdPerGb: 1 }, { usdPerGb: 1 }]',
      /must grow/,
    ],
    ['no price at all', '[]', /tariffs\.0\.egress/],
  ])('%s is refused with its place', (_name, tiers, message) => {
    expect(() => PriceBook.load(withTiers(tiers))).toThrowError(
      expect.objectContaining({ code: 'TG_PRICING_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('an unknown tariff names the known ones', () => {
    expect(() => book.tariff('nope')).toThrowError(
      expect.objectContaining({ hint: expect.stringContaining('gcp-premium') }),
    );
  });
});
