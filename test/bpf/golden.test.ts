import { describe, expect, test } from 'vitest';
import { bpfSkipReason } from '../support/privileges.js';
import type { Delta } from './delta.js';
import { GOLDEN, type GoldenRow } from './golden.js';
import { KernelMeter, type TestMeterOptions, UserMeter, XDP_PASS } from './meters.js';
import { packet } from './packet.js';

const skip = bpfSkipReason();
const bytesOf = (frame: GoldenRow['frames'][number]): Uint8Array =>
  frame instanceof Uint8Array ? frame : frame.bytes();

const optionsOf = (row: GoldenRow): TestMeterOptions => ({
  tunnels: row.tunnels ?? [],
  headBytes: row.headBytes ?? 0,
});

function expectRow(row: GoldenRow, records: readonly Delta[]): void {
  expect(records).toHaveLength(1);
  const record = records[0]!;
  expect(record.key).toMatchObject(row.key);
  expect(record.numbers('packets')).toEqual(row.packets);
  expect(record.numbers('octets')).toEqual(row.octets);
  expect(record.facts()).toMatchObject(row.fields ?? {});
  const [forward, reverse] = row.packets;
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const sizes = record.numbers('size_bins');
  expect([sum(sizes.slice(0, 16)), sum(sizes.slice(16))]).toEqual([forward, reverse]);
  const gaps = record.numbers('iat_bins');
  expect([sum(gaps.slice(0, 16)), sum(gaps.slice(16))]).toEqual([
    Math.max(0, forward - 1),
    Math.max(0, reverse - 1),
  ]);
}

describe('golden packets through the user-space build', () => {
  test.each(GOLDEN)('$name', (row) => {
    const meter = new UserMeter(optionsOf(row));
    row.frames.forEach((frame, i) => {
      meter.run(bytesOf(frame), 1000 + i * 10);
    });
    expectRow(row, meter.finish());
  });

  test('a frame shorter than an Ethernet header is counted as such', () => {
    const meter = new UserMeter();
    meter.run(packet().ether().bytes(9), 1);
    meter.run(new Uint8Array(0), 2);
    const [record] = meter.finish();
    expect(record!.key).toMatchObject({ kind: 9, lowerPort: 1 });
    expect(record!.numbers('packets')).toEqual([2, 0]);
    expect(meter.counters().unparsed[1]).toBe(2);
  });
});

describe.skipIf(skip !== undefined)(
  `golden packets through the kernel${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    test.each(GOLDEN)('$name', (row) => {
      const kernel = new KernelMeter(optionsOf(row));
      const user = new UserMeter(optionsOf(row));
      for (const frame of row.frames) expect(kernel.run(bytesOf(frame))).toBe(XDP_PASS);
      const records = kernel.finish();
      expectRow(row, records);
      row.frames.forEach((frame, i) => {
        user.run(bytesOf(frame), kernel.ticks[i]!);
      });
      expect(user.finish().map((record) => record.facts())).toEqual(
        records.map((record) => ({ ...record.facts(), entry_tick: expect.any(Array) })),
      );
      const { exported_records: _, inserts: __, ...counters } = kernel.counters();
      expect(user.counters()).toMatchObject(counters);
    });
  },
);
