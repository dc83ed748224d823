import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ReplaySource } from '../../src/capture/replay.js';
import { type FlowRecord, RecordReader } from '../../src/flow/record.js';
import { packet, TCP } from '../bpf/packet.js';
import { type Frame, pcap } from './capture-file.js';
import { collect, numberOf, packetsOf, totalPackets } from './collect.js';

const START_MS = 1_767_225_600_000;
const CLIENT = '10.0.0.1';
const SERVER = '10.0.0.2';

interface Step {
  readonly atMs: number;
  readonly flags?: number;
  readonly back?: boolean;
  readonly sport?: number;
  readonly dport?: number;
  readonly payload?: number;
}

const tcp = ({
  atMs,
  flags = TCP.ACK,
  back = false,
  sport = 50_000,
  dport = 8443,
  payload = 0,
}: Step): Frame => ({
  timeNs: BigInt(START_MS + atMs) * 1_000_000n,
  bytes: packet()
    .ether()
    .ipv4(back ? { source: SERVER, destination: CLIENT } : { source: CLIENT, destination: SERVER })
    .tcp(back ? { sport: dport, dport: sport, flags } : { sport, dport, flags })
    .payload(payload)
    .bytes(),
});
const file = (steps: readonly Step[]): Buffer => pcap(steps.map(tcp));
const timeouts = { idleTimeoutMs: 2000, activeTimeoutMs: 10_000 };
const REASON = { idle: 1, active: 2, ended: 3, forced: 4, resources: 5 };

describe('a record of more packets than 16 bits count', () => {
  const values = (record: FlowRecord, name: string): number[] =>
    (record[name] as readonly number[]).map(Number);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

  test('has whole histograms and flag counts, and the next flow of its key starts from zero', async () => {
    const ahead = 150_001;
    const back = 70_000;
    const frame = (i: number, atMs: number): Frame => tcp({ atMs, back: i % 2 === 1 && i < 2 * back });
    const frames = Array.from({ length: ahead + back }, (_, i) => frame(i, Math.floor(i / 100)));
    const later = Array.from({ length: 3 }, (_, i) => tcp({ atMs: 20_000 + i }));
    const { records } = await collect([pcap([...frames, ...later])], timeouts);
    expect(
      records.map((r) => [numberOf(r, 'packetDeltaCount'), numberOf(r, 'reversePacketDeltaCount')]),
    ).toEqual([
      [ahead, back],
      [3, 0],
    ]);
    for (const record of records) {
      for (const [packets, sizes, gaps, flags] of [
        ['packetDeltaCount', 'packetSizeBins', 'interArrivalBins', 'tcpFlagCounts'],
        [
          'reversePacketDeltaCount',
          'reversePacketSizeBins',
          'reverseInterArrivalBins',
          'reverseTcpFlagCounts',
        ],
      ] as const) {
        const count = numberOf(record, packets);
        expect(sum(values(record, sizes))).toBe(count);
        expect(sum(values(record, gaps))).toBe(Math.max(0, count - 1));
        expect(values(record, flags)[4]).toBe(count);
      }
    }
  });
});

describe('when a record ends', () => {
  test('silence longer than the idle timeout ends the flow, by the times in the file', async () => {
    const { records } = await collect(
      [file([{ atMs: 0 }, { atMs: 1990 }, { atMs: 4000 }, { atMs: 9000 }])],
      timeouts,
    );
    expect(records.map((r) => [packetsOf(r), r.flowEndReason])).toEqual([
      [2, REASON.idle],
      [1, REASON.idle],
      [1, REASON.forced],
    ]);
    expect(new Set(records.map((r) => r.flowId)).size).toBe(3);
  });

  test('a long flow is reported every active timeout under one flowId', async () => {
    const steps = Array.from({ length: 300 }, (_, i) => ({ atMs: i * 100, payload: 10 }));
    const { records } = await collect([file(steps)], timeouts);
    expect(records.length).toBeGreaterThanOrEqual(3);
    expect(new Set(records.map((r) => r.flowId)).size).toBe(1);
    expect(records.map((r) => r.flowEndReason)).toEqual([
      ...Array(records.length - 1).fill(REASON.active),
      REASON.forced,
    ]);
    for (const r of records) {
      const spanMs =
        Number(BigInt(r.flowEndNanoseconds as string) - BigInt(r.flowStartNanoseconds as string)) / 1e6;
      // A part of a residency, half of the shorter timeout, may be on top.
      expect(spanMs).toBeLessThanOrEqual(timeouts.activeTimeoutMs + timeouts.idleTimeoutMs / 2 + 200);
    }
    expect(totalPackets(records)).toBe(300);
    // Gaps between records count too: one less than packets over all records.
    expect(records.flatMap((r) => r.interArrivalBins as number[]).reduce((a, b) => a + b, 0)).toBe(299);
  });

  test.each([
    ['FIN of both sides', [{ flags: TCP.FIN | TCP.ACK }, { flags: TCP.FIN | TCP.ACK, back: true }]],
    ['RST', [{ flags: TCP.RST }]],
  ])('%s: end detected, and a new SYN is a new flow', async (_name, end) => {
    const opening = [
      { flags: TCP.SYN },
      { flags: TCP.SYN | TCP.ACK, back: true },
      { flags: TCP.ACK },
      ...end,
    ];
    const steps = [0, 1800].flatMap((from) => opening.map((step, i) => ({ ...step, atMs: from + i })));
    const { records } = await collect([file([...steps, { atMs: 60_000, sport: 1 }])], timeouts);
    const ours = records.filter((r) => r.sourceTransportPort === 50_000);
    expect(ours.map((r) => [packetsOf(r), r.flowEndReason, r.biflowDirection])).toEqual([
      [opening.length, REASON.ended, 1],
      [opening.length, REASON.ended, 1],
    ]);
  });
});

describe('who is the source', () => {
  const first = async (steps: readonly Step[]) => (await collect([file(steps)], timeouts)).records[0]!;

  test('who sent the SYN, even when the answer was seen first', async () => {
    const record = await first([
      { atMs: 0, flags: TCP.ACK, back: true },
      { atMs: 1, flags: TCP.SYN },
    ]);
    expect(record).toMatchObject({ sourceIPv4Address: CLIENT, biflowDirection: 1 });
  });

  test('who was answered by a SYN-ACK, when the SYN was not seen', async () => {
    const record = await first([{ atMs: 0, flags: TCP.SYN | TCP.ACK, back: true }]);
    expect(record).toMatchObject({
      sourceIPv4Address: CLIENT,
      biflowDirection: 1,
      packetDeltaCount: 0,
      reversePacketDeltaCount: 1,
    });
  });

  test('the better-known port answers', async () => {
    const record = await first([{ atMs: 0, back: true, dport: 443, payload: 5 }]);
    expect(record).toMatchObject({
      sourceIPv4Address: CLIENT,
      destinationTransportPort: 443,
      biflowDirection: 3,
      firstPayloadSizes: [-5, 0, 0, 0, 0, 0, 0, 0],
    });
  });

  test('else who was seen first', async () => {
    const record = await first([{ atMs: 0, back: true, payload: 5 }]);
    expect(record).toMatchObject({ sourceIPv4Address: SERVER, biflowDirection: 0, packetDeltaCount: 1 });
  });

  test('who asked by ICMP, even when the reply was seen first', async () => {
    const icmp = (type: number, source: string, destination: string, atMs: number): Frame => ({
      timeNs: BigInt(START_MS + atMs) * 1_000_000n,
      bytes: packet().ether().ipv4({ source, destination }).icmp(type).bytes(),
    });
    const { records } = await collect([pcap([icmp(0, SERVER, CLIENT, 0), icmp(8, CLIENT, SERVER, 1)])]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ sourceIPv4Address: CLIENT, icmpTypeCode: 8 << 8, biflowDirection: 1 });
  });
});

describe('time that is not as it should be', () => {
  test('a jump back ends every flow; a jump ahead of hours loses nothing', async () => {
    const steps = [0, 10, 7_200_000, 7_200_010, 100, 110].map((atMs) => ({ atMs }));
    const { records, counters } = await collect([file(steps)], timeouts);
    expect(records.map((r) => [packetsOf(r), r.flowEndReason])).toEqual([
      [2, REASON.idle],
      [2, REASON.forced],
      [2, REASON.forced],
    ]);
    expect(counters.deliveredPackets).toBe(6);
  });

  test('times at both ends of what can be written down', async () => {
    const at = (timeNs: bigint): Frame => ({ ...tcp({ atMs: 0 }), timeNs });
    const ends = [0n, 4_294_967_295_000_000_000n, 0n, 1_000_000_000n, 4_294_967_295_999_000_000n];
    const { counters, records } = await collect([pcap(ends.map(at))]);
    expect(counters.deliveredPackets).toBe(5);
    expect(totalPackets(records)).toBe(5);
  });
});

describe('more flows than the table may hold', () => {
  const flood = (count: number): Buffer =>
    pcap(
      Array.from({ length: count }, (_, i) => ({
        timeNs: BigInt(START_MS) * 1_000_000n + BigInt(i) * 1000n,
        bytes: packet()
          .ether()
          .ipv4({ source: `${1 + (i % 200)}.${(i >> 8) & 255}.${i & 255}.7`, destination: SERVER })
          .tcp({ sport: 1024 + (i % 60_000), dport: 80, flags: TCP.SYN })
          .bytes(),
      })),
    );

  test('the rest is folded into marked aggregates; the table stays bounded and every packet is there', async () => {
    const count = 20_000;
    const maxFlows = 1000;
    const { records, counters } = await collect([flood(count)], {
      maxFlows,
      cacheEntries: 64,
      slabRows: 512,
    });
    expect(totalPackets(records)).toBe(count);
    expect(counters.deliveredPackets).toBe(count);
    const folded = records.filter((r) => r.flowEndReason === REASON.resources);
    expect(folded.length).toBeGreaterThan(0);
    // 1024 aggregates by prefix, then one a protocol.
    expect(folded.length).toBeLessThanOrEqual(1025);
    expect(records.length).toBeLessThanOrEqual(maxFlows + 1025);
    for (const r of folded) expect([r.sourceTransportPort, r.destinationTransportPort]).toEqual([0, 0]);
  });

  test('flows that were there before stay individual', async () => {
    const steps = [0, 50].map((atMs) => tcp({ atMs, payload: 7 }));
    const before = pcap([steps[0]!]);
    const after = pcap([steps[1]!]);
    const { records } = await collect([before, flood(3000), after], {
      maxFlows: 500,
      cacheEntries: 64,
      slabRows: 512,
    });
    const own = records.filter((r) => r.destinationTransportPort === 8443);
    expect(own.map((r) => packetsOf(r))).toEqual([2]);
  });
});

describe('a consumer that is slow', () => {
  test('holds the reading up and changes no record', async () => {
    const steps = Array.from({ length: 4000 }, (_, i) => ({
      atMs: i * 7,
      sport: 2000 + (i % 700),
      payload: i % 90,
    }));
    const bytes = file(steps);
    const quick = await collect([bytes], { ...timeouts, slabRows: 16, slabs: 8 });
    const slow: string[] = [];
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-slow-'));
    writeFileSync(`${directory}/slow.pcap`, bytes);
    const source = new ReplaySource({
      files: [`${directory}/slow.pcap`],
      ...timeouts,
      slabRows: 16,
      slabs: 2,
      cacheEntries: 256,
    });
    source.onBatch = (batch) => {
      setTimeout(() => {
        const reader = new RecordReader(batch);
        for (let row = 0; row < reader.rows; row += 1) slow.push(JSON.stringify(reader.record(row)));
        batch.release();
        // Counters can be had at any moment and always add up.
        const { seenPackets, deliveredPackets, resident, lost } = source.counters();
        expect(lost).toEqual([]);
        expect(
          deliveredPackets + resident.kernelCache + resident.rings + resident.flowTable + resident.slabs,
        ).toBe(seenPackets);
      }, 1);
    };
    await source.start();
    await source.done;
    await source.stop();
    rmSync(directory, { recursive: true });
    expect(slow.length).toBeGreaterThan(700);
    expect(slow.sort()).toEqual(quick.records.map((r) => JSON.stringify(r)).sort());
    expect(quick.records.reduce((sum, r) => sum + numberOf(r, 'packetDeltaCount'), 0)).toBe(4000);
  });
});
