import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFlowBlock } from '../../src/store/index.js';
import { NativeBlock } from '../../src/store/native-reader.js';
import { links, makeBatch, NOW_NS } from './support.js';

const NOW_MS = Number(NOW_NS / 1_000_000n);
const encode = (rows: number, seed: number): Uint8Array =>
  encodeFlowBlock(makeBatch(rows, seed), { gateway: 'gateway-é', links }, NOW_MS);

describe('a Native block', () => {
  test('cut in rows anywhere, its parts say what the whole said', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.nat(), fc.nat(), (rows, seed, cut) => {
        const whole = new NativeBlock(encode(rows, seed));
        const at = rows === 0 ? 0 : cut % (rows + 1);
        const parts = [new NativeBlock(whole.slice(0, at)), new NativeBlock(whole.slice(at, rows))];
        expect(parts.map((part) => part.rows)).toEqual([at, rows - at]);
        for (const name of ['octetDeltaCount', 'packetsOut', 'flowId']) {
          const names = new Set([name]);
          expect(parts[0]!.sum(names) + parts[1]!.sum(names), name).toBe(whole.sum(names));
        }
        expect(Buffer.from(whole.slice(0, rows))).toEqual(Buffer.from(encode(rows, seed)));
      }),
      { numRuns: 25 },
    );
  });

  test('loses the columns that it is told to, and no octet of the others', () => {
    const whole = new NativeBlock(encode(9, 3));
    const { block, columns } = whole.without(new Set(['fingerprint', 'gateway']));
    const thin = new NativeBlock(block);
    expect(thin.columns.map((column) => column.name)).toEqual(columns);
    expect(columns).not.toContain('fingerprint');
    expect(thin.sum(new Set(['octetDeltaCount']))).toBe(whole.sum(new Set(['octetDeltaCount'])));
    expect(whole.columns.length - thin.columns.length).toBe(2);
  });

  test('cut off or with octets behind it is told from a whole one', () => {
    const block = encode(2, 5);
    for (let length = 0; length < block.length; length += 1) {
      expect(() => new NativeBlock(block.subarray(0, length)), `${length} octets`).toThrow(RangeError);
    }
    expect(() => new NativeBlock(Buffer.concat([block, Buffer.alloc(1)]))).toThrow(RangeError);
  });

  test('leaves the batch that it is made of as it was', () => {
    const batch = makeBatch(5);
    batch.column('flowEndNanoseconds', 'u64').fill(1n);
    const before = Buffer.from(new Uint8Array(batch.buffer)).toString('base64');
    encodeFlowBlock(batch, { gateway: 'g', links });
    expect(Buffer.from(new Uint8Array(batch.buffer)).toString('base64')).toBe(before);
  });
});
