import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packet, TCP } from '../bpf/packet.js';
import { pcap } from './capture-file.js';
import { collect, totalPackets } from './collect.js';
import { comparable, type Fact, flowsOf, oracleFlows } from './oracle.js';

const START_NS = 1_767_225_600_000_000_000n;
const IDLE_MS = 2000;
const HEADERS = 40;

const frameOf = (fact: Omit<Fact, 'timeNs' | 'octets'>): Uint8Array => {
  const [source, destination] = fact.back ? ['10.0.0.2', '10.0.0.1'] : ['10.0.0.1', '10.0.0.2'];
  const [sport, dport] = fact.back ? [60_000, fact.flow] : [fact.flow, 60_000];
  return packet()
    .ether()
    .ipv4({ source, destination, ttl: fact.ttl })
    .tcp({ sport, dport, flags: fact.flags, window: fact.window })
    .payload(fact.payload)
    .bytes();
};

/** No SYN, FIN or RST: when a flow ends by its flags depends on residencies, and is tested by itself. */
const FLAGS = 0xff & ~(TCP.SYN | TCP.FIN | TCP.RST);
const sequences = fc.tuple(
  fc.integer({ min: 1, max: 120 }),
  fc.array(
    fc.record({
      flow: fc.integer({ min: 0, max: 119 }),
      back: fc.boolean(),
      payload: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1460 })),
      flags: fc.integer({ min: 0, max: 255 }).map((flags) => flags & FLAGS),
      ttl: fc.integer({ min: 1, max: 255 }),
      window: fc.integer({ min: 0, max: 65_535 }),
      gapUs: fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 0, max: 30_000 }) },
        { weight: 2, arbitrary: fc.integer({ min: -5000, max: 0 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 5_000_000 }) },
      ),
    }),
    // 'max': the default size would keep the sequences at ten packets.
    { minLength: 1, maxLength: 1500, size: 'max' },
  ),
);

describe('files through reader, cache and table against a plain oracle', () => {
  test('every counter of every flow, at any size of the cache', async () => {
    await fc.assert(
      fc.asyncProperty(
        sequences,
        fc.constantFrom(64, 128, 4096),
        fc.constantFrom(2000, 60_000),
        async ([flows, steps], cacheEntries, activeTimeoutMs) => {
          let timeNs = START_NS;
          const facts = steps.map(({ gapUs, ...step }): Fact => {
            timeNs += BigInt(gapUs) * 1000n;
            return { ...step, flow: 1 + (step.flow % flows), timeNs, octets: HEADERS + step.payload };
          });
          const file = pcap(facts.map((fact) => ({ timeNs: fact.timeNs, bytes: frameOf(fact) })));
          const { records, counters } = await collect([file], {
            cacheEntries,
            activeTimeoutMs,
            idleTimeoutMs: IDLE_MS,
          });
          expect(totalPackets(records)).toBe(facts.length);
          expect(counters.deliveredPackets).toBe(facts.length);
          expect(comparable(flowsOf(records))).toEqual(
            comparable(oracleFlows(facts, BigInt(IDLE_MS) * 1_000_000n)),
          );
        },
      ),
      { numRuns: 40, interruptAfterTimeLimit: 30_000, endOnFailure: true },
    );
  });
});
