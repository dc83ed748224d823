import pino from 'pino';
import { describe, expect, test } from 'vitest';
import type { SourceCounters } from '../../src/capture/source.js';
import { FlowBatch } from '../../src/flow/batch.js';
import { SLAB_HEADER, slabLayout } from '../../src/flow/columns.js';
import { Ingest } from '../../src/pipeline/ingest.js';
import { balanceOf } from '../../src/pipeline/status.js';
import { readUsage, sumSeries } from '../../src/pipeline/usage-history.js';

const logger = pino({ level: 'silent' });

/** A source that hands over batches of known size and counts what comes back. */
class Slabs {
  onBatch: ((batch: FlowBatch) => void) | undefined;
  released = 0;

  hand(packets: number): void {
    const layout = slabLayout(4);
    const buffer = new SharedArrayBuffer(layout.byteLength);
    const header = new Uint32Array(buffer, 0, 16);
    header[SLAB_HEADER.rows] = 1;
    header[SLAB_HEADER.capacity] = 4;
    header[SLAB_HEADER.packetsLow] = packets;
    this.onBatch!(
      new FlowBatch(buffer, () => {
        this.released += 1;
      }),
    );
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async flush(): Promise<void> {}
  counters(): SourceCounters {
    throw new Error('not asked');
  }
}

/** Workers that die as often as they are told to, at each kind of task. */
const failing = (times: { fingerprint: number; block: number }) => ({
  run: async (_task: unknown, options?: { name?: string | null }): Promise<unknown> => {
    const name = options?.name as 'fingerprint' | 'block';
    if (times[name] > 0) {
      times[name] -= 1;
      throw new Error('the worker died');
    }
    return name === 'block'
      ? { block: new Uint8Array(1), endReasons: new Uint32Array(6) }
      : { modelId: 'm', endpoints: [], endpointOfRow: new Uint32Array(1) };
  },
});

async function through(times: { fingerprint: number; block: number }) {
  const source = new Slabs();
  const written: number[] = [];
  const ingest = new Ingest({
    source,
    pool: failing(times) as never,
    model: () => ({ info: { id: 'm' }, bytes: new SharedArrayBuffer(1) }),
    registry: { observe: () => [] },
    writer: { append: async (frame) => void written.push(frame.packets) },
    logger,
  });
  await ingest.start();
  for (const packets of [10, 20, 30]) source.hand(packets);
  await ingest.drain();
  return { source, written, counters: ingest.counters() };
}

describe('ingest under worker deaths', () => {
  test('a worker that dies now and then loses nothing', async () => {
    const { source, written, counters } = await through({ fingerprint: 2, block: 2 });
    expect(written.sort((a, b) => a - b)).toEqual([10, 20, 30]);
    expect(counters).toMatchObject({ writtenPackets: 60, writtenRecords: 3, waitingBatches: 0, lost: [] });
    expect(source.released).toBe(3);
  });

  test('without fingerprints records are stored all the same', async () => {
    const { written, counters } = await through({ fingerprint: 1000, block: 0 });
    expect(written.reduce((a, b) => a + b)).toBe(60);
    expect(counters.lost).toEqual([]);
  });

  test('what cannot be encoded at all is counted lost, its slabs come back, and the sum holds', async () => {
    const { source, counters } = await through({ fingerprint: 0, block: 1000 });
    expect(counters.lost).toMatchObject([{ stage: 'pipeline', reason: 'encode_failed', packets: 60 }]);
    expect(source.released).toBe(3);
    expect(balanceOf(60, counters.writtenPackets, {}, counters.lost).difference).toBe(0);
  });
});

test('usage becomes series that begin where the workload was first seen and count silence as zero', async () => {
  const rows = [
    { workloadId: 1, linkId: 'a', step: 2, octetsOut: 1000, octetsIn: 0, flows: 1 },
    { workloadId: 1, linkId: 'a', step: 4, octetsOut: 3000, octetsIn: 500, flows: 2 },
    { workloadId: 2, linkId: 'a', step: 0, octetsOut: 8, octetsIn: 8, flows: 1 },
  ];
  const client = { query: async () => rows as never };
  const usage = await readUsage(client, {
    gateway: 'g',
    table: 'usage_1s',
    fromMs: 0,
    toMs: 10_000,
    stepMs: 2000,
  });
  expect(usage).toHaveLength(2);
  expect(usage[0]!.outBps).toEqual({ startMs: 4000, stepMs: 2000, values: Float64Array.of(4000, 0, 12_000) });
  const sum = sumSeries([usage[0]!.outBps, usage[1]!.outBps]);
  expect(sum.startMs).toBe(0);
  expect([...sum.values]).toEqual([32, 0, 4000, 0, 12_000]);
});
