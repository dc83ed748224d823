import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { detachPinned, pinDirectory, stateFile } from '../../src/capture/bpf.js';
import type { SourceCounters } from '../../src/capture/source.js';
import { XdpSource } from '../../src/capture/xdp.js';
import { Reader } from '../support/pinned-reader.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair, xdpInterfaces } from '../support/veth.js';

const skip = bpfSkipReason();
const lost = (c: SourceCounters, stage: string): number =>
  c.lost.filter((loss) => loss.stage === stage).reduce((sum, loss) => sum + loss.packets, 0);

describe.skipIf(skip !== undefined)(
  `metering across kill -9${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });
    const setUp = (tag: string) => {
      const veth = new VethPair(tag);
      const pinName = `test-${tag}-${process.pid}`;
      const delivered = new Map<string, number>();
      cleanups.push(() => veth.remove());
      cleanups.push(() => {
        detachPinned(pinName);
      });
      const start = async (): Promise<Reader> => {
        const reader = new Reader({ interfaces: [veth.metered], pinName }, delivered);
        cleanups.push(() => {
          reader.child.kill('SIGKILL');
        });
        await reader.ready();
        return reader;
      };
      return { veth, pinName, delivered, start };
    };

    test('kill -9 at any moment: every packet is delivered once, none is lost', async () => {
      const { veth, pinName, delivered, start } = setUp('adopt');
      for (let round = 0; round < 6; round += 1) {
        const reader = await start();
        const sending = veth.flood(60_000, { threads: 2, flows: 500 });
        await sleep(20 + round * 70);
        await reader.kill();
        await sending;
        // Nobody is there, and the kernel goes on.
        expect(xdpInterfaces(veth.far)).toEqual(['in']);
        await veth.flood(3000, { threads: 1, flows: 100 });
      }
      const last = new XdpSource({ interfaces: [veth.metered], pinName });
      cleanups.push(() => last.stop());
      last.onBatch = (batch) => {
        delivered.set(batch.id ?? '', batch.packets);
        batch.release();
      };
      await last.start();
      expect(last.interfaces()).toMatchObject([
        { mode: 'native', reason: expect.stringContaining('taken over') },
      ]);
      await veth.flood(1000, { threads: 1, flows: 10 });
      await last.flush();
      const counters = last.counters();
      const stored = [...delivered.values()].reduce((sum, packets) => sum + packets, 0);
      expect(counters.seenPackets).toBe(veth.wire().packets);
      expect(lost(counters, 'process')).toBe(0);
      expect(stored + lost(counters, 'kernel')).toBe(counters.seenPackets);
      expect(counters.deliveredPackets).toBe(stored);
      await last.stop();
      expect(existsSync(pinDirectory(pinName))).toBe(false);
      expect(existsSync(stateFile(pinName))).toBe(false);
      expect(xdpInterfaces(veth.far)).toEqual([]);
    });

    test('without the memory of the dead process, what was in it is counted as lost', async () => {
      const { veth, pinName, delivered, start } = setUp('amnesia');
      const reader = await start();
      await veth.flood(20_000, { threads: 1, flows: 500 });
      for (let i = 0; i < 100 && delivered.size === 0; i += 1) await sleep(20);
      await veth.flood(5000, { threads: 1, flows: 700 });
      await reader.kill();
      rmSync(stateFile(pinName));
      const last = new XdpSource({ interfaces: [veth.metered], pinName });
      cleanups.push(() => last.stop());
      let stored = [...delivered.values()].reduce((sum, packets) => sum + packets, 0);
      last.onBatch = (batch) => {
        stored += batch.packets;
        batch.release();
      };
      await last.start();
      await last.flush();
      const counters = last.counters();
      expect(counters.seenPackets).toBe(veth.wire().packets);
      expect(stored + lost(counters, 'process') + lost(counters, 'kernel')).toBe(counters.seenPackets);
    });

    test('two processes cannot own one pinned datapath', async () => {
      const { veth, pinName, start } = setUp('owner');
      await start();
      const second = new XdpSource({ interfaces: [veth.metered], pinName });
      await expect(second.start()).rejects.toMatchObject({ code: 'TG_CAPTURE_OWNED' });
    });

    test('detachPinned removes what a dead process left', async () => {
      const { veth, pinName, start } = setUp('detach');
      await (await start()).kill();
      expect(xdpInterfaces(veth.far)).toEqual(['in']);
      expect(detachPinned(pinName)).toBeGreaterThan(5);
      expect(detachPinned(pinName)).toBe(0);
      for (let i = 0; i < 50 && xdpInterfaces(veth.far).length > 0; i += 1) await sleep(20);
      expect(xdpInterfaces(veth.far)).toEqual([]);
    });
  },
);
