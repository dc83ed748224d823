import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bpfSkipReason } from '../support/privileges.js';
import type { Delta } from './delta.js';
import { GOLDEN } from './golden.js';
import { KernelMeter, parseBothWays, UserMeter } from './meters.js';
import { mergeRecords, Oracle, type OraclePacket } from './oracle.js';
import { packet, TCP } from './packet.js';

const skip = bpfSkipReason();
const LOWER = '10.0.0.1';
const UPPER = '10.0.0.2';
const flowOf = (record: Delta): number => record.key.lowerPort;

/** The bytes of an oracle's packet: TCP without SYN, so that the flow's state is what the facts say. */
const frameOf = (p: Omit<OraclePacket, 'tick' | 'octets'>): Uint8Array =>
  (p.direction === 0
    ? packet()
        .ether()
        .ipv4({ source: LOWER, destination: UPPER, ttl: p.ttl })
        .tcp({ sport: p.flow, dport: 60000, flags: p.flags, window: p.window })
    : packet()
        .ether()
        .ipv4({ source: UPPER, destination: LOWER, ttl: p.ttl })
        .tcp({ sport: 60000, dport: p.flow, flags: p.flags, window: p.window })
  )
    .payload(p.payload)
    .bytes();

const facts = (flows: number) =>
  fc.record({
    flow: fc.integer({ min: 1, max: flows }),
    direction: fc.constantFrom(0 as const, 1 as const),
    payload: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1460 })),
    flags: fc.integer({ min: 0, max: 255 }).map((flags) => flags & ~TCP.SYN),
    ttl: fc.integer({ min: 1, max: 255 }),
    window: fc.integer({ min: 0, max: 65535 }),
  });

describe('the meter against a plain oracle', () => {
  test('user-space build: any sequence of packets, any gaps, evictions and overflows included', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.tuple(facts(200), fc.integer({ min: 0, max: 70000 })), { minLength: 1, maxLength: 1500 }),
        (flows, sequence) => {
          const meter = new UserMeter({ cacheEntries: 64, exportTicks: 200_000 });
          const oracle = new Oracle();
          let tick = 5000;
          for (const [p, gap] of sequence) {
            tick += gap;
            const here = { ...p, flow: (p.flow % flows) + 1 };
            meter.run(frameOf(here), tick);
            oracle.add({ ...here, octets: 40 + p.payload, tick });
          }
          expect(mergeRecords(meter.finish(), flowOf)).toEqual(oracle.flows);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('ticks that wrap around change nothing', () => {
    const meter = new UserMeter();
    meter.run(packet().ether().ipv4().udp().bytes(), 0xfffffff0);
    meter.run(packet().ether().ipv4().udp().bytes(), 0x10);
    const [record] = meter.finish();
    expect(record!.numbers('iat_bins')[5]).toBe(1);
    expect(record!.numbers('packets')).toEqual([2, 0]);
  });

  test.skipIf(skip !== undefined)(
    `kernel build: 1500 packets of 150 flows through 64 entries${skip === undefined ? '' : ` (skipped: ${skip})`}`,
    () => {
      const sequence = fc.sample(facts(150), { numRuns: 1500, seed: 7 });
      const kernel = new KernelMeter({ cacheEntries: 64 });
      const user = new UserMeter({ cacheEntries: 64 });
      const oracle = new Oracle();
      for (const p of sequence) {
        kernel.run(frameOf(p));
        const tick = kernel.ticks.at(-1)!;
        user.run(frameOf(p), tick);
        oracle.add({ ...p, octets: 40 + p.payload, tick });
      }
      const records = kernel.finish();
      expect(records.length).toBeGreaterThan(500);
      expect(mergeRecords(records, flowOf)).toEqual(oracle.flows);
      expect(mergeRecords(user.finish(), flowOf)).toEqual(oracle.flows);
    },
  );
});

describe('the two ways through the parser', () => {
  const frames = GOLDEN.flatMap((row) => row.frames).map((f) => (f instanceof Uint8Array ? f : f.bytes()));
  const tunnels = ['vxlan', 'geneve', 'gtpu', 'gre', 'ip'] as const;

  test('agree on every golden packet that the quick one takes, and it takes the common ones', () => {
    let quickly = 0;
    for (const frame of frames) {
      const { quick, slow } = parseBothWays(frame);
      if (quick === undefined) continue;
      quickly += 1;
      expect(quick.toString('hex')).toBe(slow.toString('hex'));
    }
    expect(quickly).toBeGreaterThan(20);
  });

  test('agree after any bytes were changed or cut off, with and without tunnels', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...frames),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 255 })), {
          maxLength: 4,
        }),
        fc.integer({ min: 0, max: 200 }),
        fc.subarray([...tunnels]),
        (frame, changes, keep, entered) => {
          const changed = Uint8Array.from(frame.subarray(0, Math.max(keep, 1)));
          for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
          const { quick, slow } = parseBothWays(changed, entered);
          if (quick !== undefined) expect(quick.toString('hex')).toBe(slow.toString('hex'));
        },
      ),
      { numRuns: 20_000 },
    );
  });
});
