import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatBytes,
  formatRate,
  parseDurationMs,
  parseRateBps,
  parseSizeBytes,
} from '../../src/base/units.js';

describe('units', () => {
  test.each([
    ['10Gbit', 10e9],
    ['250 Mbit', 250e6],
    ['1.5kbps', 1500],
    ['42', 42],
    [7, 7],
  ])('rate %s', (text, bps) => {
    expect(parseRateBps(text)).toBe(bps);
  });

  test.each([
    ['5m', 300_000],
    ['500ms', 500],
    ['30d', 30 * 86_400_000],
    [2, 2000],
    ['2', 2000],
  ])('duration %s', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  test.each([
    ['64MiB', 64 * 2 ** 20],
    ['10GB', 10e9],
    ['1024', 1024],
  ])('size %s', (text, bytes) => {
    expect(parseSizeBytes(text)).toBe(bytes);
  });

  test('what is not a quantity is refused with an example of one', () => {
    for (const bad of ['10 gigs', '-5Mbit', 'fast', '', '1e400', 'NaN']) {
      expect(() => parseRateBps(bad)).toThrowError(expect.objectContaining({ code: 'TG_BASE_UNIT' }));
    }
    expect(() => parseDurationMs(Number.NaN)).toThrowError(expect.objectContaining({ code: 'TG_BASE_UNIT' }));
  });

  test('what is printed is read back within its rounding', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e13 }), (bps) => {
        const back = parseRateBps(formatRate(bps).replace('/s', '').replace(' ', ''));
        expect(Math.abs(back - bps)).toBeLessThanOrEqual(Math.max(1, bps * 0.006));
      }),
    );
    expect(formatBytes(3.4 * 2 ** 20)).toBe('3.40 MiB');
  });
});
