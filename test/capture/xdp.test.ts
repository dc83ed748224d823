import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { TidegateError } from '../../src/base/errors.js';
import type { SourceCounters } from '../../src/capture/source.js';
import { XdpSource } from '../../src/capture/xdp.js';
import type { XdpOptions } from '../../src/capture/xdp-options.js';
import type { FlowBatch } from '../../src/flow/batch.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair, xdpInterfaces } from '../support/veth.js';

const skip = bpfSkipReason();
const residentOf = (c: SourceCounters): number => {
  const { kernelCache, rings, flowTable, slabs } = c.resident;
  return kernelCache + rings + flowTable + slabs;
};
const lostOf = (c: SourceCounters): number => c.lost.reduce((sum, loss) => sum + loss.packets, 0);

interface Seen {
  records: number;
  packets: number;
  octets: number;
  flows: Set<number>;
}

describe.skipIf(skip !== undefined)(
  `XDP source over veth${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    const setUp = async (tag: string, options: Partial<XdpOptions> = {}) => {
      const veth = new VethPair(tag);
      cleanups.push(() => veth.remove());
      const source = new XdpSource({ interfaces: [veth.metered], ...options });
      cleanups.push(() => source.stop());
      const seen: Seen = { records: 0, packets: 0, octets: 0, flows: new Set() };
      source.onBatch = (batch: FlowBatch) => {
        const forward = batch.column('packetDeltaCount', 'u64');
        const reverse = batch.column('reversePacketDeltaCount', 'u64');
        const octets = batch.column('octetDeltaCount', 'u64');
        const ports = batch.column('sourceTransportPort', 'u16');
        for (let row = 0; row < batch.rows; row += 1) {
          seen.packets += Number(forward[row]! + reverse[row]!);
          seen.octets += Number(octets[row]!);
          seen.flows.add(ports[row]!);
        }
        seen.records += batch.rows;
        batch.release();
      };
      await source.start();
      return { veth, source, seen };
    };

    test('every packet is in a stored record: seen = stored + resident + lost at every stage', async () => {
      const { veth, source, seen } = await setUp('law');
      expect(source.interfaces()).toMatchObject([{ name: 'in', mode: 'native', rxPackets: 0 }]);
      veth.sendUdp(50, 200);
      const sent = veth.wire();
      const before = source.counters();
      expect(before.seenPackets).toBe(sent.packets);
      expect(sent.packets + sent.dropped).toBe(10_000);
      expect(before.deliveredPackets + residentOf(before) + lostOf(before)).toBe(sent.packets);
      const audit = source.audit();
      expect(audit.quiet).toBe(true);
      expect(audit.counted).toEqual(audit.derived);

      await source.flush();
      const after = source.counters();
      expect(after).toMatchObject({
        seenPackets: sent.packets,
        seenOctets: sent.packets * 128,
        deliveredPackets: sent.packets,
        resident: { kernelCache: 0, rings: 0, flowTable: 0, slabs: 0 },
        kinds: { ipv4: sent.packets, ipv6: 0, nonIp: 0, fragment: 0, unparsed: 0 },
      });
      expect(lostOf(after)).toBe(0);
      expect(seen).toMatchObject({ packets: sent.packets, octets: sent.packets * 128 });
      expect(seen.flows.size).toBe(50);
      expect(source.interfaces()[0]!.rxPackets).toBe(sent.packets);
    });

    test('a ring made too small loses records, counted to the packet and the record', async () => {
      // 64 slots and 15 records a ring: 500 flows evict one another far faster than the reader polls.
      const { veth, source, seen } = await setUp('ring', { cacheEntries: 64, ringBytes: 4096 });
      veth.sendUdp(500, 20);
      await source.flush();
      const sent = veth.wire();
      const counters = source.counters();
      const lost = lostOf(counters);
      expect(lost).toBeGreaterThan(0);
      expect(counters.seenPackets).toBe(sent.packets);
      expect(counters.deliveredPackets + lost).toBe(sent.packets);
      expect(residentOf(counters)).toBe(0);
      expect(seen.packets).toBe(sent.packets - lost);
      expect(seen.octets).toBe((sent.packets - lost) * 128);
      const audit = source.audit();
      expect(audit.counted).toEqual(audit.derived);
      expect(audit.ringLostRecords).toBeGreaterThan(0);
      // Records lost after the last one that arrived are not yet visible as a gap.
      expect(audit.missingRecords).toBeLessThanOrEqual(audit.ringLostRecords);
    });

    test('silent flows leave the kernel and the table by themselves', async () => {
      const { veth, source, seen } = await setUp('idle', { idleTimeoutMs: 400, activeTimeoutMs: 1000 });
      veth.sendUdp(20, 10);
      const sent = veth.wire().packets;
      for (let i = 0; i < 200 && seen.packets < sent; i += 1) await sleep(50);
      expect(seen.packets).toBe(sent);
      expect(seen.flows.size).toBe(20);
      expect(source.counters()).toMatchObject({
        activeFlows: 0,
        resident: { kernelCache: 0, rings: 0, flowTable: 0, slabs: 0 },
      });
    });

    test('a consumer that holds every slab loses nothing', async () => {
      const veth = new VethPair('held');
      cleanups.push(() => veth.remove());
      const source = new XdpSource({ interfaces: [veth.metered], slabs: 2, slabRows: 16 });
      cleanups.push(() => source.stop());
      const held: FlowBatch[] = [];
      let holding = true;
      source.onBatch = (batch) => {
        if (holding) held.push(batch);
        else batch.release();
      };
      await source.start();
      veth.sendUdp(200, 5);
      const flushed = source.flush();
      for (let i = 0; i < 200 && held.length < 2; i += 1) await sleep(10);
      const stalled = source.counters();
      expect(stalled.resident.slabs).toBe(held[0]!.packets + held[1]!.packets);
      expect(stalled.deliveredPackets).toBe(0);
      expect(residentOf(stalled)).toBe(veth.wire().packets);
      holding = false;
      for (const batch of held) batch.release();
      await flushed;
      await source.stop();
      expect(source.counters()).toMatchObject({ deliveredPackets: veth.wire().packets, activeFlows: 0 });
      expect(lostOf(source.counters())).toBe(0);
    });

    test('stop detaches and hands over what was resident', async () => {
      const { veth, source, seen } = await setUp('stop');
      expect(xdpInterfaces(veth.far)).toEqual(['in']);
      veth.sendUdp(10, 10);
      await source.stop();
      expect(xdpInterfaces(veth.far)).toEqual([]);
      expect(seen.packets).toBe(veth.wire().packets);
      await source.stop();
    });

    test('an XDP program that is already there is refused, not replaced', async () => {
      const { veth } = await setUp('busy');
      const second = new XdpSource({ interfaces: [veth.metered] });
      await expect(second.start()).rejects.toMatchObject({ code: 'TG_CAPTURE_XDP_BUSY' });
      expect(xdpInterfaces(veth.far)).toEqual(['in']);
    });

    test('generic mode meters the same packets', async () => {
      const { veth, source, seen } = await setUp('skb', { mode: 'generic' });
      expect(source.interfaces()).toMatchObject([{ mode: 'generic' }]);
      veth.sendUdp(10, 30);
      await source.flush();
      expect(seen.packets).toBe(veth.wire().packets);
    });

    test.each<[string, Partial<XdpOptions>, string]>([
      ['a missing interface', { interfaces: [{ name: 'nosuch0' }] }, 'TG_CAPTURE_INTERFACE_MISSING'],
      [
        'a missing namespace',
        { interfaces: [{ name: 'eth0', netns: '/run/netns/nosuch' }] },
        'TG_CAPTURE_NETNS',
      ],
      ['programs that are not built', { objectPath: '/nonexistent.o' }, 'TG_CAPTURE_OBJECT'],
      ['programs that are no ELF file', { objectPath: 'package.json' }, 'TG_CAPTURE_KERNEL'],
    ])('%s is one line that says what to do', async (_name, options, code) => {
      const source = new XdpSource({ interfaces: [], ...options });
      const error = await source.start().then(
        () => undefined,
        (thrown: unknown) => thrown as TidegateError,
      );
      expect(error?.code).toBe(code);
      expect(error?.toLine().split('\n')).toHaveLength(1);
    });
  },
);
