import { afterEach, describe, expect, test } from 'vitest';
import { detachPinned } from '../../src/capture/bpf.js';
import type { SourceCounters } from '../../src/capture/source.js';
import { XdpSource } from '../../src/capture/xdp.js';
import type { XdpOptions } from '../../src/capture/xdp-options.js';
import { Reader } from '../support/pinned-reader.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair } from '../support/veth.js';

const skip = bpfSkipReason();
const lostOf = (c: SourceCounters, reason?: string): number =>
  c.lost
    .filter((loss) => reason === undefined || loss.reason === reason)
    .reduce((sum, loss) => sum + loss.packets, 0);

describe.skipIf(skip !== undefined)(
  `faults of a datapath${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    const pair = (tag: string, queues = 1): VethPair => {
      const veth = new VethPair(tag, queues);
      cleanups.push(() => veth.remove());
      return veth;
    };
    const pins = (tag: string): string => {
      const pinName = `test-${tag}-${process.pid}`;
      cleanups.push(() => {
        detachPinned(pinName);
      });
      return pinName;
    };
    /** A source and what it stored: packets, octets, and packets by the sampling interval that their record states. */
    const started = async (options: XdpOptions) => {
      const source = new XdpSource(options);
      cleanups.push(() => source.stop());
      const stored = {
        packets: 0,
        octets: 0,
        bySampling: new Map<number, number>(),
        batches: new Map<string, number>(),
      };
      source.onBatch = (batch) => {
        const forward = batch.column('packetDeltaCount', 'u64');
        const reverse = batch.column('reversePacketDeltaCount', 'u64');
        const octets = batch.column('octetDeltaCount', 'u64');
        const interval = batch.column('samplingPacketInterval', 'u32');
        for (let row = 0; row < batch.rows; row += 1) {
          const packets = Number(forward[row]! + reverse[row]!);
          stored.packets += packets;
          stored.octets += Number(octets[row]!);
          stored.bySampling.set(interval[row]!, (stored.bySampling.get(interval[row]!) ?? 0) + packets);
        }
        if (batch.id !== undefined) stored.batches.set(batch.id, batch.packets);
        batch.release();
      };
      await source.start();
      return { source, stored };
    };

    test('an upgrade under traffic replaces the programs in one step: no packet passes unmetered', async () => {
      const veth = pair('upgrade', 2);
      const pinName = pins('upgrade');
      const delivered = new Map<string, number>();
      const sending: Promise<void>[] = [];
      for (let i = 0; i < 4; i += 1) {
        const reader = new Reader({ interfaces: [veth.metered], pinName }, delivered);
        cleanups.push(() => {
          reader.child.kill('SIGKILL');
        });
        await reader.ready();
        sending.push(veth.flood(60_000, { threads: 1, flows: 500 }));
        await reader.kill();
      }
      const { source, stored } = await started({ interfaces: [veth.metered], pinName });
      await Promise.all(sending);
      await source.flush();
      for (const [id, packets] of stored.batches) delivered.set(id, packets);
      const counters = source.counters();
      const total = [...delivered.values()].reduce((sum, packets) => sum + packets, 0);
      expect(counters.seenPackets).toBe(veth.wire().packets);
      expect(total + lostOf(counters)).toBe(counters.seenPackets);
    });

    test('jumbo frames lie in several buffers, and are metered as they are on the wire', async () => {
      const veth = pair('jumbo');
      veth.exec('ip', 'link', 'set', 'in', 'mtu', '9000');
      veth.execNear('ip', 'link', 'set', 'out', 'mtu', '9000');
      const { source, stored } = await started({ interfaces: [veth.metered] });
      expect(source.interfaces()).toMatchObject([{ mode: 'native' }]);
      veth.sendUdp(5, 20, 8900);
      await source.flush();
      expect(veth.wire().packets).toBe(100);
      expect(stored).toMatchObject({ packets: 100, octets: 100 * (8900 + 28) });
      expect(source.counters().kinds).toMatchObject({ ipv4: 100, unparsed: 0 });
    });

    test('a reader that cannot keep up climbs the ladder; what is sampled says so, every packet is accounted for', async () => {
      const veth = pair('ladder');
      // A ring of 15 records, and every packet another flow: no reader keeps up with that.
      const { source, stored } = await started({
        interfaces: [veth.metered],
        ringBytes: 4096,
        cacheEntries: 64,
        overload: { everyMs: 20 },
      });
      for (let i = 0; i < 40 && source.overload().level < 5; i += 1)
        await veth.flood(60_000, { threads: 1, flows: 50_000 });
      const { entered } = source.overload();
      expect(source.overload().level).toBeGreaterThanOrEqual(4);
      expect(entered.slice(1, 5)).toEqual([1, 1, 1, 1]);
      await source.flush();
      const counters = source.counters();
      expect(counters.seenPackets).toBe(veth.wire().packets);
      expect(lostOf(counters, 'ring_full')).toBeGreaterThan(0);
      expect(lostOf(counters, 'sampled_out')).toBeGreaterThan(0);
      expect(stored.packets + lostOf(counters)).toBe(counters.seenPackets);
      expect([...stored.bySampling.keys()].some((interval) => interval > 1)).toBe(true);
      const audit = source.audit();
      expect(audit.counted).toEqual(audit.derived);
    });
  },
);
