import { arch, availableParallelism, cpus, release } from 'node:os';
import { defineErrors } from '../../base/errors.js';
import type { FlowBatch } from '../../flow/batch.js';
import { type BpfAddon, loadBpfAddon } from '../bpf.js';
import { XdpSource } from '../xdp.js';
import { LivePair } from './live-pair.js';

/**
 * A SYN flood from random sources over a veth pair into the whole datapath: programs, rings, reader, table, records.
 * What was sent is known packet by packet (the sender's numbers are made here again), so that what was stored can be
 * held against it: in total, and for each /16 that sources are of.
 */

const fail = defineErrors({
  TG_CAPTURE_BENCH_LEAK: {
    message: 'packets are not accounted for: {what}',
    hint: 'this is a defect of Tidegate: please report it with the output of `tidegate bench flood --output json`',
    exitCode: 1,
  },
});

const TCP = 6;
const SYN = 0x02;
/** flowEndReason of what was folded for want of room (IANA IPFIX 136). */
const LACK_OF_RESOURCES = 5;
const FLUSHES = 10;

interface Flooding {
  flood(options: {
    readonly netns: string;
    readonly device: string;
    readonly packets: number;
    readonly threads: number;
    readonly flows: number;
    readonly seed: number;
    readonly flags: number;
  }): Promise<void>;
}

export interface FloodBenchOptions {
  /** SYNs, each from a random source. */
  readonly packets?: number;
  /** Flows that the table holds at most. */
  readonly maxFlows?: number;
  readonly progress?: (what: string) => void;
}

export interface FloodBenchResult {
  readonly sent: number;
  readonly senders: number;
  readonly seconds: number;
  readonly maxFlows: number;
  readonly mostActiveFlows: number;
  /** Growth of the process's resident memory over its start, at most. */
  readonly mostMemoryBytes: number;
  readonly seen: number;
  readonly stored: number;
  /** Lost by `stage/reason`; seen = stored + their sum, or the bench fails. */
  readonly lost: Readonly<Record<string, number>>;
  /** Packets in records of single flows, of pairs of prefixes, and of a protocol as a whole. */
  readonly single: number;
  readonly byPrefix: number;
  readonly byProtocol: number;
  /** Prefixes that sources were of; no prefix has more packets stored than were sent, or the bench fails. */
  readonly prefixes: number;
  readonly prefixesComplete: number;
  readonly machine: {
    readonly cpu: string;
    readonly cpus: number;
    readonly kernel: string;
    readonly arch: string;
  };
}

/** Packets by /16 of their source, as native/src/flood.cc sends them (xorshift32, Marsaglia 2003). */
function sentByPrefix(packets: number, senders: number, seed: number): Map<number, number> {
  const counts = new Map<number, number>();
  let x = seed;
  for (let i = 0; i < packets / senders; i += 1) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    const prefix = ((11 + ((x & 0xff) % 64)) << 8) | ((x >>> 8) & 0xff);
    counts.set(prefix, (counts.get(prefix) ?? 0) + senders);
  }
  return counts;
}

/** What records say of the flood. */
class Tally {
  readonly byPrefix = new Map<number, number>();
  readonly packets = { single: 0, byPrefix: 0, byProtocol: 0 };

  add(batch: FlowBatch): void {
    const counts = [
      batch.column('packetDeltaCount', 'u64'),
      batch.column('reversePacketDeltaCount', 'u64'),
    ] as const;
    const addresses = [
      batch.column('sourceIPv6Address', 'u8'),
      batch.column('destinationIPv6Address', 'u8'),
    ] as const;
    const protocols = batch.column('protocolIdentifier', 'u8');
    const reasons = batch.column('flowEndReason', 'u8');
    for (let row = 0; row < batch.rows; row += 1) {
      if (protocols[row] !== TCP) continue;
      const packets = Number(counts[0][row]! + counts[1][row]!);
      // All go to one address of 10.9.0.0/16; which side that is, is the record's to say.
      const [first, second] = addresses.map((of) => (of[row * 16 + 12]! << 8) | of[row * 16 + 13]!);
      const prefix = first === 0x0a09 ? second! : first!;
      if (prefix === 0) this.packets.byProtocol += packets;
      else {
        this.packets[reasons[row] === LACK_OF_RESOURCES ? 'byPrefix' : 'single'] += packets;
        this.byPrefix.set(prefix, (this.byPrefix.get(prefix) ?? 0) + packets);
      }
    }
  }
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

/**
 * Sends, and holds what was stored against what was sent.
 *
 * @throws TG_CAPTURE_BENCH_LEAK, what {@link XdpSource.start} throws
 */
export async function benchFlood(options: FloodBenchOptions = {}): Promise<FloodBenchResult> {
  const { packets = 1_000_000, maxFlows = 65_536, progress } = options;
  const senders = Math.min(2, availableParallelism());
  const seed = 1;
  const expected = sentByPrefix(packets, senders, seed);
  const addon: BpfAddon & Flooding = loadBpfAddon() as BpfAddon & Flooding;
  const pair = new LivePair();
  const source = new XdpSource({ interfaces: [{ name: pair.far, netns: pair.netns }], maxFlows }, addon);
  const tally = new Tally();
  const most = { flows: 0, memory: 0 };
  try {
    source.onBatch = (batch) => {
      tally.add(batch);
      batch.release();
    };
    await source.start();
    const before = process.memoryUsage.rss();
    const watch = (): void => {
      most.flows = Math.max(most.flows, source.counters().activeFlows);
      most.memory = Math.max(most.memory, process.memoryUsage.rss() - before);
    };
    const watching = setInterval(watch, 20);
    progress?.(`${packets} SYNs from random sources`);
    const begin = performance.now();
    await addon
      .flood({
        netns: pair.netns,
        device: pair.near,
        packets,
        threads: senders,
        flows: 0,
        seed,
        flags: SYN,
      })
      .finally(() => clearInterval(watching));
    const seconds = (performance.now() - begin) / 1000;
    watch();
    for (let i = 0; i < FLUSHES; i += 1) {
      await source.flush();
      const { kernelCache, rings, flowTable } = source.counters().resident;
      if (kernelCache + rings + flowTable === 0) break;
    }
    const counters = source.counters();
    const wire = pair.sent();
    const lost = Object.fromEntries(
      counters.lost.filter((l) => l.packets > 0).map((l) => [`${l.stage}/${l.reason}`, l.packets]),
    );
    const lostPackets = sum(Object.values(lost));
    if (counters.seenPackets !== wire)
      throw fail('TG_CAPTURE_BENCH_LEAK', { what: `${wire} on the wire, ${counters.seenPackets} seen` });
    if (counters.deliveredPackets + lostPackets !== counters.seenPackets)
      throw fail('TG_CAPTURE_BENCH_LEAK', {
        what: `${counters.seenPackets} seen, ${counters.deliveredPackets} stored, ${lostPackets} lost`,
      });
    let missing = 0;
    for (const [prefix, stored] of tally.byPrefix) {
      const sent = expected.get(prefix) ?? 0;
      if (stored > sent)
        throw fail('TG_CAPTURE_BENCH_LEAK', {
          what: `${stored} stored and ${sent} sent from ${prefix >> 8}.${prefix & 0xff}.0.0/16`,
        });
    }
    for (const [prefix, sent] of expected) missing += sent - (tally.byPrefix.get(prefix) ?? 0);
    if (missing !== tally.packets.byProtocol + lostPackets)
      throw fail('TG_CAPTURE_BENCH_LEAK', {
        what: `${missing} missing in their prefixes, ${tally.packets.byProtocol} in others' and ${lostPackets} lost`,
      });
    return {
      sent: packets,
      senders,
      seconds,
      maxFlows,
      mostActiveFlows: most.flows,
      mostMemoryBytes: most.memory,
      seen: counters.seenPackets,
      stored: counters.deliveredPackets,
      lost,
      ...tally.packets,
      prefixes: expected.size,
      prefixesComplete: [...expected].filter(([prefix, sent]) => tally.byPrefix.get(prefix) === sent).length,
      machine: {
        cpu: cpus()[0]?.model ?? 'unknown',
        cpus: cpus().length,
        kernel: release(),
        arch: arch(),
      },
    };
  } finally {
    await source.stop();
    pair.remove();
  }
}
