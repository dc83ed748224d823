import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';
import { PrometheusClient, readResources, UsageCollector, usageConfig } from '../../src/usage/index.js';
import { links, logger, makeBatch } from '../store/support.js';
import { noPrometheus, RealPrometheus, type Sample } from './real-prometheus.js';

const STEP = 60_000;
const STEPS = 90;
const HALF = 45;
/** Steps of host a without samples; Prometheus itself goes on for five minutes. */
const GAP = { from: 20, until: 32 };
const HOST_A = '10.9.0.1';
const HOST_B = '2001:db8::b';

/** Equal up to rounding; not known is equal to not known only. */
function same(actual: number, expected: number, what: string): void {
  if (Number.isNaN(expected)) expect(actual, what).toBeNaN();
  else expect(actual, what).toBeCloseTo(expected, 9);
}

describe.skipIf(noPrometheus !== undefined)(
  `CPU and memory of workloads${noPrometheus ? ` (${noPrometheus})` : ''}`,
  () => {
    const prometheus = new RealPrometheus();
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-usage-'));
    const startMs = Math.floor((Date.now() - (STEPS + 3) * STEP) / STEP) * STEP;
    let store: Store;

    const cpuA = (i: number): number => 2 + (i % 7);
    const cpuB = (i: number): number => 0.25 * (1 + (i % 3));

    /** A flow that ended in step `i`: `address` served `workloadId`. */
    function flowsIn(i: number, served: readonly { address: string; workloadId: number; octets: number }[]) {
      const batch = makeBatch(served.length, i);
      for (const [row, { address, workloadId, octets }] of served.entries()) {
        const end = BigInt(startMs + i * STEP + STEP / 2) * 1_000_000n;
        batch.column('flowStartNanoseconds', 'u64')[row] = end - 1_000_000_000n;
        batch.column('flowEndNanoseconds', 'u64')[row] = end;
        batch.column('workloadId', 'u32')[row] = workloadId;
        batch.column('octetDeltaCount', 'u64')[row] = BigInt(octets);
        batch.column('reverseOctetDeltaCount', 'u64')[row] = 0n;
        const bytes = batch.column('destinationIPv6Address', 'u8').subarray(row * 16, row * 16 + 16);
        bytes.fill(0);
        if (address === HOST_A) bytes.set([0xff, 0xff, 10, 9, 0, 1], 10);
        else bytes.set([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b]);
      }
      return batch;
    }

    beforeAll(async () => {
      const samples: Sample[] = [];
      for (let i = 0; i < STEPS; i += 1) {
        // The value at the end of a step is the step's.
        const atMs = startMs + (i + 1) * STEP;
        const a = { instance: `${HOST_A}:9100` };
        if (i < GAP.from || i >= GAP.until) {
          samples.push({ metric: 'cores', labels: a, atMs, value: cpuA(i) });
          samples.push({ metric: 'memory', labels: a, atMs, value: 1e9 + i });
        }
        samples.push({ metric: 'cores', labels: { instance: 'host-b' }, atMs, value: cpuB(i) });
      }
      await prometheus.start(samples);
      store = new Store({ config: storeConfig.parse({}), dataDirectory: directory, gateway: 'test', logger });
      await store.start();
      for (let i = 0; i < STEPS; i += 1) {
        // Host a serves workload 1, then is given to workload 2; host b serves 1 and 3, one part to three.
        const batch = flowsIn(i, [
          { address: HOST_A, workloadId: i < HALF ? 1 : 2, octets: 1000 },
          { address: HOST_B, workloadId: 1, octets: 1000 },
          { address: HOST_B, workloadId: 3, octets: 3000 },
        ]);
        const block = encodeFlowBlock(batch, { gateway: 'test', links });
        await store.writer.append({
          table: 'flows',
          block,
          rows: batch.rows,
          packets: batch.packets,
          octets: 0,
        });
      }
      expect(await store.writer.drain(30_000)).toBe(true);
    }, 90_000);
    afterAll(async () => {
      await store.stop();
      await prometheus.stop();
      rmSync(directory, { recursive: true, force: true });
    });

    const collector = (nowMs: number, backfill = '3h') =>
      new UsageCollector({
        gateway: 'test',
        config: usageConfig.parse({
          cpuQuery: 'cores',
          memoryQuery: 'memory',
          addresses: { 'host-b': HOST_B },
          step: '1m',
          backfill,
          hold: '10m',
        }),
        prometheus: new PrometheusClient({ url: prometheus.url }),
        client: () => store.client,
        logger,
        now: () => nowMs,
      });

    test('hosts become workloads as they were at the time, and what nobody measured stays unknown', async () => {
      // In two goes, as a gateway that was restarted in between.
      await collector(startMs + 50 * STEP + 5_000).collect();
      await collector(startMs + STEPS * STEP + 5_000).collect();
      const found = await readResources(store.client, 'test', startMs, startMs + STEPS * STEP, STEP);
      expect([...found.keys()].sort()).toEqual([1, 2, 3]);
      for (let i = 0; i < STEPS; i += 1) {
        const stale = i >= GAP.from && i < GAP.from + 5;
        if (stale) continue;
        const a = i >= GAP.from && i < GAP.until ? Number.NaN : cpuA(i);
        const [one, two, three] = [1, 2, 3].map((id) => found.get(id)!);
        same(one!.cpuCores.values[i]!, (i < HALF ? a : 0) + cpuB(i) / 4, `workload 1, step ${i}`);
        same(two!.cpuCores.values[i]!, i < HALF ? Number.NaN : a, `workload 2, step ${i}`);
        same(three!.cpuCores.values[i]!, (cpuB(i) * 3) / 4, `workload 3, step ${i}`);
        // Host b's memory is not measured: a part of a sum is no sum.
        expect(one!.memoryBytes.values[i]).toBeNaN();
        expect(two!.memoryBytes.values[i]).toBe(i < HALF ? Number.NaN : 1e9 + i);
      }
      // A second go over the same steps changes nothing.
      const [before] = await store.client.query<{ n: string }>(
        'SELECT count() AS n FROM resource_usage FINAL',
      );
      await collector(startMs + STEPS * STEP + 5_000).collect();
      const [after] = await store.client.query<{ n: string }>(
        'SELECT count() AS n FROM resource_usage FINAL',
      );
      expect(after).toEqual(before);
    });
  },
);
