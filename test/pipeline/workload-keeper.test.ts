import { expect, test } from 'vitest';
import { fingerprintConfig } from '../../src/fingerprint/config.js';
import { type EndpointSummary, WorkloadRegistry } from '../../src/fingerprint/index.js';
import { WorkloadKeeper } from '../../src/pipeline/workload-keeper.js';

function endpoint(direction: number): EndpointSummary {
  const pooled = new Float32Array(96);
  pooled[direction] = 1;
  return {
    key: '6/443/192.0.2.1',
    address: '192.0.2.1',
    port: 443,
    protocol: 6,
    flows: 100,
    octets: 1000,
    packets: 1000,
    reverseOctets: 1000,
    reversePackets: 1000,
    durationMs: 10,
    firstMs: 0,
    lastMs: 10,
    pooled,
    sizeHistogram: new Float32Array(32).fill(1),
    reconstructionError: 0.1,
  };
}

test('the store is told which model makes the vectors, and a centre again only when it moved', async () => {
  const inserted: { table: string; rows: readonly Readonly<Record<string, unknown>>[] }[] = [];
  const registry = new WorkloadRegistry({ ...fingerprintConfig.parse({}), modelId: 'first' });
  const client = {
    insertRows: async (table: string, rows: readonly Readonly<Record<string, unknown>>[]) =>
      void inserted.push({ table, rows }),
    query: async () => [],
  };
  const keeper = new WorkloadKeeper(client as never, 'g', registry);
  let names: unknown[] = [];
  const keep = async (nowMs: number) => {
    inserted.length = 0;
    await keeper.keep(nowMs);
    const of = (table: string) => inserted.filter((one) => one.table === table).flatMap((one) => one.rows);
    names = of('workloads').map((row) => row.name);
    return { references: of('reference_fingerprints'), events: of('events').map((event) => event.kind) };
  };
  registry.observe([endpoint(0)], 1000);
  const first = await keep(1000);
  expect(first.references).toMatchObject([{ gateway: 'g', workloadId: 1, modelId: 'first' }]);
  expect(first.events).toEqual(['fingerprint_model', 'workload_new']);
  // More of the same is no news, another direction is.
  registry.observe([endpoint(0)], 2000);
  expect(await keep(2000)).toEqual({ references: [], events: [] });
  registry.observe([endpoint(1)], 3000);
  expect((await keep(3000)).references).toHaveLength(1);
  // Another model: its vectors only, once there are any.
  registry.changeModel('second');
  expect(await keep(4000)).toEqual({ references: [], events: ['fingerprint_model'] });
  registry.observe([endpoint(2)], 5000);
  expect((await keep(5000)).references).toMatchObject([{ workloadId: 1, modelId: 'second' }]);
  // A name is news although no flow came; said once.
  registry.label(1, 'ours');
  await keep(6000);
  expect(names).toEqual(['ours']);
  await keep(7000);
  expect(names).toEqual([]);
});
