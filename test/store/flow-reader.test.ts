import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { extractFeatures, FingerprintEncoder, featureSchema } from '../../src/fingerprint/index.js';
import type { FlowBatch } from '../../src/flow/batch.js';
import { FLOW_COLUMNS } from '../../src/flow/columns.js';
import { BLOCK_COLUMNS, encodeFlowBlock, readFlowSample, Store, storeConfig } from '../../src/store/index.js';
import { NativeBlock } from '../../src/store/native-reader.js';
import { logger, makeBatch } from './support.js';

const GATEWAY = 'reader';
const bytesOf = (view: ArrayBufferView): Buffer =>
  Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);

describe('flow records read back from the store', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-reader-'));
  let store: Store;
  const insert = (batch: FlowBatch, token: string): Promise<void> =>
    store.client.insertBlock(
      'flows',
      BLOCK_COLUMNS,
      encodeFlowBlock(batch, { gateway: GATEWAY, links: {} }),
      token,
    );
  const sample = (of: { perGroup?: number; limit?: number } = {}): Promise<FlowBatch> =>
    readFlowSample(store.client, {
      gateway: GATEWAY,
      sinceMs: Date.now() - 3_600_000,
      untilMs: Date.now() + 3_600_000,
      blockMs: 600_000,
      perGroup: 1000,
      groupBy: 'endpoint',
      limit: 10_000,
      ...of,
    });
  const written = makeBatch(300, 3);
  // Sizes as a meter would give them: no payload is longer than its packet.
  const sizes = written.column('firstPayloadSizes', 'i16');
  for (let i = 0; i < sizes.length; i += 1) sizes[i] = (i * 733) % 1460;

  beforeAll(async () => {
    store = new Store({
      config: storeConfig.parse({}),
      dataDirectory: directory,
      gateway: GATEWAY,
      logger,
    });
    await store.start();
    await insert(written, 'reader:1');
  });
  afterAll(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('are the same bit for bit, column by column', async () => {
    const read = await sample();
    expect(read.rows).toBe(written.rows);
    for (const { name, type } of FLOW_COLUMNS)
      expect(bytesOf(read.column(name, type)).equals(bytesOf(written.column(name, type))), name).toBe(true);
  });

  test('give bit-equal features and fingerprints', async () => {
    const read = await sample();
    for (const variant of ['noport', 'port', 'port+bytes'] as const) {
      const schema = featureSchema(variant);
      const live = new Float32Array(written.rows * schema.dimensions);
      const again = new Float32Array(written.rows * schema.dimensions);
      extractFeatures(written, live, schema);
      extractFeatures(read, again, schema);
      expect(bytesOf(again).equals(bytesOf(live)), variant).toBe(true);
      expect(new Set(again).size).toBeGreaterThan(50);
    }
    const encoder = await FingerprintEncoder.load();
    await encoder.encode(written);
    await encoder.encode(read);
    await encoder.release();
    expect(
      bytesOf(read.column('fingerprint', 'f32')).equals(bytesOf(written.column('fingerprint', 'f32'))),
    ).toBe(true);
  });

  test('are sampled by group, the same each time, and within the limit', async () => {
    const few = await sample({ limit: 40 });
    expect(few.rows).toBe(40);
    expect(
      Buffer.from(new Uint8Array(few.buffer)).equals(
        Buffer.from(new Uint8Array((await sample({ limit: 40 })).buffer)),
      ),
    ).toBe(true);
    const read = await sample({ perGroup: 1 });
    const keys = new Set<string>();
    for (let row = 0; row < written.rows; row += 1)
      keys.add(
        [
          bytesOf(written.column('destinationIPv6Address', 'u8').subarray(row * 16, row * 16 + 16)).toString(
            'hex',
          ),
          written.column('destinationTransportPort', 'u16')[row],
          written.column('protocolIdentifier', 'u8')[row],
        ].join(),
      );
    // A block of time may end between two of the rows.
    expect(read.rows).toBeGreaterThanOrEqual(Math.min(keys.size, written.rows));
    expect(read.rows).toBeLessThanOrEqual(2 * keys.size);
  });

  test('that were stored without their histograms are left out', async () => {
    const thin = new NativeBlock(encodeFlowBlock(makeBatch(20, 50), { gateway: 'thin', links: {} })).without(
      new Set(['packetSizeBins', 'fingerprint']),
    );
    await store.client.insertBlock('flows', thin.columns, thin.block, 'reader:thin');
    const read = await readFlowSample(store.client, {
      gateway: 'thin',
      sinceMs: 0,
      untilMs: Date.now() + 3_600_000,
      blockMs: 1,
      perGroup: 100,
      groupBy: 'workload',
      limit: 100,
    });
    expect(read.rows).toBe(0);
  });
});
