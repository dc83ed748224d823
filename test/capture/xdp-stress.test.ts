import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { SourceCounters } from '../../src/capture/source.js';
import { XdpSource } from '../../src/capture/xdp.js';
import type { XdpOptions } from '../../src/capture/xdp-options.js';
import { TCP } from '../bpf/packet.js';
import { nextLine } from '../support/child-line.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair } from '../support/veth.js';

const skip = bpfSkipReason();
const lostOf = (c: SourceCounters): number => c.lost.reduce((sum, loss) => sum + loss.packets, 0);

describe.skipIf(skip !== undefined)(
  `conservation under stress${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    const setUp = async (tag: string, queues: number, options: Partial<XdpOptions> = {}) => {
      const veth = new VethPair(tag, queues);
      cleanups.push(() => veth.remove());
      const source = new XdpSource({ interfaces: [veth.metered], ...options });
      cleanups.push(() => source.stop());
      let packets = 0;
      let folded = 0;
      source.onBatch = (batch) => {
        packets += batch.packets;
        const reasons = batch.column('flowEndReason', 'u8');
        for (let row = 0; row < batch.rows; row += 1) if (reasons[row] === 5) folded += 1;
        batch.release();
      };
      await source.start();
      return { veth, source, stored: () => ({ packets, folded }) };
    };

    test('several CPUs meter the same flows at once', async () => {
      const threads = Math.min(4, availableParallelism());
      const { veth, source, stored } = await setUp('cpus', threads, { cacheEntries: 256 });
      await veth.flood(400_000, { threads, flows: 3000 });
      await source.flush();
      const { packets } = veth.wire();
      const counters = source.counters();
      expect(packets).toBeGreaterThan(100_000);
      expect(counters.seenPackets).toBe(packets);
      expect(stored().packets + lostOf(counters)).toBe(packets);
      const audit = source.audit();
      expect(audit.counted).toEqual(audit.derived);
    });

    test('a SYN flood from random sources stays within the table, folded but conserved', async () => {
      const maxFlows = 4096;
      const { veth, source, stored } = await setUp('flood', 1, { maxFlows });
      await veth.flood(300_000, { threads: 1, flows: 0, flags: TCP.SYN });
      const busy = source.counters();
      // The aggregates that flows are folded into come on top: 1024 prefixes and what those fold into.
      expect(busy.activeFlows).toBeLessThanOrEqual(maxFlows + 1100);
      await source.flush();
      const { packets } = veth.wire();
      const counters = source.counters();
      expect(counters.seenPackets).toBe(packets);
      expect(stored().packets + lostOf(counters)).toBe(packets);
      expect(stored().folded).toBeGreaterThan(0);
    });

    test('a process that was stopped (SIGSTOP) accounts for what passed meanwhile', async () => {
      const veth = new VethPair('stop9', 1);
      cleanups.push(() => veth.remove());
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'fixtures', 'stalled-reader.mjs'), JSON.stringify(veth.metered)],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      cleanups.push(() => {
        child.kill('SIGKILL');
      });
      await nextLine(child, 'the reader');
      child.kill('SIGSTOP');
      // Its ring holds 248 records: nobody reads them now.
      await veth.flood(200_000, { threads: 1, flows: 50_000 });
      child.kill('SIGCONT');
      child.stdin!.write('report\n');
      const { counters, stored } = JSON.parse(await nextLine(child, 'the reader')) as {
        counters: SourceCounters;
        stored: number;
      };
      const { packets } = veth.wire();
      expect(counters.seenPackets).toBe(packets);
      expect(lostOf(counters)).toBeGreaterThan(0);
      expect(stored + lostOf(counters)).toBe(packets);
    });
  },
);
