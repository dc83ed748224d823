import { describe, expect, test } from 'vitest';
import { bpfSkipReason } from '../support/privileges.js';
import type { Delta } from './delta.js';
import { GOLDEN, type GoldenRow } from './golden.js';
import { KernelMeter, TCX_NEXT, type TestMeterOptions, UserMeter, XDP_PASS } from './meters.js';
import { packet } from './packet.js';

const skip = bpfSkipReason();
const COMPARED_COUNTERS = [
  'rx_packets',
  'rx_octets',
  'kind_ipv4',
  'kind_ipv6',
  'kind_non_ip',
  'kind_fragment',
  'kind_unparsed',
  'exported_packets',
  'exported_octets',
] as const;
const bytesOf = (frame: GoldenRow['frames'][number]): Uint8Array =>
  frame instanceof Uint8Array ? frame : frame.bytes();

/** BPF_PROG_TEST_RUN makes no socket buffer of a frame whose IP header is cut off, or that is longer than a page. */
const fitsSocketBuffer = (row: GoldenRow): boolean =>
  row.frames.map(bytesOf).every((frame) => {
    const etherType = (frame[12]! << 8) | frame[13]!;
    return (
      frame.length < 3500 && frame.length >= (etherType === 0x0800 ? 34 : etherType === 0x86dd ? 54 : 15)
    );
  });

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

describe.skipIf(skip !== undefined).each([
  { hook: 'xdp', verdict: XDP_PASS, ifindex: 1 },
  { hook: 'ingress', verdict: TCX_NEXT, ifindex: 1 },
  { hook: 'egress', verdict: TCX_NEXT, ifindex: 0 },
] as const)(
  `golden packets through the kernel, $hook${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  ({ hook, verdict, ifindex }) => {
    // Loading is what takes time: rows with the same options share a meter, which each leaves empty.
    const meters = new Map<string, KernelMeter>();
    const kernelFor = (row: GoldenRow): KernelMeter => {
      const key = JSON.stringify(optionsOf(row));
      const meter = meters.get(key) ?? new KernelMeter({ ...optionsOf(row), hook });
      meters.set(key, meter);
      return meter;
    };

    test.each(hook === 'xdp' ? GOLDEN : GOLDEN.filter(fitsSocketBuffer))('$name', (row) => {
      const kernel = kernelFor(row);
      const user = new UserMeter(optionsOf(row));
      const before = kernel.counters();
      const ticks = row.frames.map((frame) => {
        expect(kernel.run(bytesOf(frame))).toBe(verdict);
        return kernel.ticks.at(-1)!;
      });
      const records = kernel.finish();
      expectRow(row, records);
      row.frames.forEach((frame, i) => {
        user.run(bytesOf(frame), ticks[i]!, ifindex);
      });
      expect(user.finish().map((record) => record.facts())).toEqual(
        records.map((record) => ({
          ...record.facts(),
          entry_tick: [1],
          // What this host sends came in nowhere.
          ingress_ifindex: record.numbers('packets').map((packets) => (packets > 0 ? ifindex : 0)),
        })),
      );
      const after = kernel.counters();
      const counted = user.counters();
      for (const name of COMPARED_COUNTERS) expect(counted[name], name).toBe(after[name]! - before[name]!);
      expect(counted.unparsed).toEqual(after.unparsed.map((n, i) => n - before.unparsed[i]!));
    });
  },
);
