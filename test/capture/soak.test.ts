import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { detachPinned } from '../../src/capture/bpf.js';
import { XdpSource } from '../../src/capture/xdp.js';
import { Reader } from '../support/pinned-reader.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair } from '../support/veth.js';

/** `make soak SECONDS=… SEED=…`; the suite runs a short one. */
const SECONDS = Number(process.env.TIDEGATE_SOAK_SECONDS ?? 4);
const SEED = Number(process.env.TIDEGATE_SOAK_SEED ?? 1);
const skip = bpfSkipReason();

/** Uniform numbers in [0, 1), the same for the same seed (xorshift32, Marsaglia 2003). */
const numbers = (seed: number): (() => number) => {
  let x = seed || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
};

describe.skipIf(skip !== undefined)(
  `everything at once, ${SECONDS} s, seed ${SEED}${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    test(
      'floods on two CPUs, TCP, stalls, kills and full rings: every packet is stored once or lost by name',
      async () => {
        const veth = new VethPair('soak', 2);
        const pinName = `test-soak-${process.pid}`;
        cleanups.push(
          () => veth.remove(),
          () => {
            detachPinned(pinName);
          },
        );
        // A ring of 248 records, which most floods overflow, and few entries, which they evict.
        const options = { interfaces: [veth.metered], pinName, ringBytes: 65_536, cacheEntries: 256 };
        const delivered = new Map<string, number>();
        const random = numbers(SEED);
        const between = (low: number, high: number): number => Math.floor(low + random() * (high - low));
        const start = async (): Promise<Reader> => {
          const reader = new Reader(options, delivered);
          cleanups.push(() => {
            reader.child.kill('SIGKILL');
          });
          await reader.ready();
          return reader;
        };
        const actions: Readonly<Record<string, () => Promise<void>>> = {
          flood: async () => {
            const flows = [0, 50, 3000][between(0, 3)]!;
            sending.push(veth.flood(between(5000, 80_000), { threads: 2, flows }));
            await sleep(between(5, 60));
          },
          transfer: async () => {
            sending.push(veth.transferTcp(between(10_000, 3_000_000)));
          },
          stall: async () => {
            reader.child.kill('SIGSTOP');
            await sleep(between(20, 250));
            reader.child.kill('SIGCONT');
          },
          kill: async () => {
            await reader.kill();
            await sleep(between(0, 100));
            reader = await start();
          },
        };
        const names = Object.keys(actions);
        const done: Record<string, number> = {};
        let sending: Promise<void>[] = [];
        let reader = await start();
        const end = performance.now() + SECONDS * 1000;
        // Each at least once, then as chance will have it.
        for (let i = 0; i < names.length || performance.now() < end; i += 1) {
          const name = names[i] ?? names[between(0, names.length)]!;
          done[name] = (done[name] ?? 0) + 1;
          await actions[name]!();
          if (sending.length > 3) {
            await Promise.all(sending);
            sending = [];
          }
        }
        await Promise.all(sending);
        await reader.kill();
        const last = new XdpSource(options);
        cleanups.push(() => last.stop());
        last.onBatch = (batch) => {
          delivered.set(batch.id ?? '', batch.packets);
          batch.release();
        };
        await last.start();
        for (let i = 0; i < 10; i += 1) await last.flush();
        const counters = last.counters();
        const lost = counters.lost.filter(({ packets }) => packets > 0);
        const lostPackets = lost.reduce((sum, { packets }) => sum + packets, 0);
        const stored = [...delivered.values()].reduce((sum, packets) => sum + packets, 0);
        process.stderr.write(`${JSON.stringify({ ...done, seen: counters.seenPackets, stored, lost })}\n`);
        expect(counters.seenPackets).toBe(veth.wire().packets);
        expect(lost.map(({ stage }) => stage)).toEqual(lost.map(() => 'kernel'));
        expect(lostPackets).toBeGreaterThan(0);
        expect(stored + lostPackets).toBe(counters.seenPackets);
        expect(counters.deliveredPackets).toBe(stored);
        expect(counters.resident).toEqual({ kernelCache: 0, rings: 0, flowTable: 0, slabs: 0 });
      },
      SECONDS * 3000 + 30_000,
    );
  },
);
