import { describe, expect, test } from 'vitest';
import { bpfSkipReason } from '../support/privileges.js';
import { type Delta, KIND } from './delta.js';
import { KernelMeter } from './meters.js';
import { packet } from './packet.js';

const skip = bpfSkipReason();
const SEEN_FOLDED = 0x80;

const packetsOf = (records: readonly Delta[]): number =>
  records.reduce((sum, record) => sum + record.numbers('packets').reduce((a, b) => a + b, 0), 0);

const flow = (i: number): Uint8Array =>
  packet()
    .ether()
    .ipv4({ source: `10.${i >> 8}.${i & 255}.1` })
    .udp({ sport: 1000 + i })
    .payload(10)
    .bytes();

describe.skipIf(skip !== undefined)(
  `what the kernel gives up under overload${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    test('sampling: one packet in four is metered and says so, the others are counted as sampled out', () => {
      const kernel = new KernelMeter();
      kernel.overload(4, false, false);
      for (let n = 0; n < 100; n += 1) kernel.run(flow(n % 3));
      const records = kernel.finish();
      const counters = kernel.counters();
      expect(counters).toMatchObject({
        rx_packets: 100,
        sampled_out_packets: 75,
        sampled_out_octets: 75 * 38,
      });
      expect(packetsOf(records)).toBe(25);
      expect(new Set(records.map((record) => record.number('entry_tick')))).toEqual(new Set([4]));

      kernel.overload(1, false, false);
      for (let n = 0; n < 10; n += 1) kernel.run(flow(0));
      const [after] = kernel.finish();
      expect(after!.numbers('packets')).toEqual([10, 0]);
      expect(after!.number('entry_tick')).toBe(1);
    });

    test('mice: flows that are known stay themselves, the first packet of new ones counts for their prefixes', () => {
      const kernel = new KernelMeter();
      kernel.run(flow(1));
      kernel.overload(1, true, false);
      for (let n = 0; n < 5; n += 1) kernel.run(flow(1));
      for (let n = 256; n < 296; n += 1) kernel.run(flow(n));
      const records = kernel.finish();
      expect(packetsOf(records)).toBe(46);
      expect(kernel.counters()).toMatchObject({ folded_packets: 40, rx_packets: 46 });
      const known = records.find((record) => record.key.upperPort === 1001);
      expect(known!.numbers('packets')).toEqual([0, 6]);
      const folded = records.filter((record) => (record.number('seen') & SEEN_FOLDED) !== 0);
      expect(folded.map((record) => [record.key, record.numbers('packets')])).toEqual([
        [
          expect.objectContaining({
            kind: KIND.ipv4,
            lower: '10.0.0.0',
            upper: '10.1.0.0',
            lowerPort: 0,
            upperPort: 0,
            protocol: 17,
          }),
          [0, 40],
        ],
      ]);
    });

    test('without payload heads: nothing is sent, and each one that was wanted is counted', () => {
      const kernel = new KernelMeter({
        headWants: [{ transport: 'udp', port: 53, octets: 16, packets: 2, sides: ['toPort'] }],
      });
      kernel.overload(1, false, true);
      for (let n = 0; n < 5; n += 1) kernel.run(flow(1));
      expect(kernel.heads()).toEqual([]);
      expect(kernel.counters()).toMatchObject({ heads_sent: 0, heads_withheld: 2 });
      expect(packetsOf(kernel.finish())).toBe(5);
    });
  },
);
