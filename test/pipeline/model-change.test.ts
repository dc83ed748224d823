import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprintConfig } from '../../src/fingerprint/config.js';
import {
  adoptedModelPath,
  defaultModelPath,
  extractFeatures,
  FingerprintEncoder,
  featureSchema,
  readModelFile,
  WorkloadRegistry,
} from '../../src/fingerprint/index.js';
import { MODEL_LIMIT_BYTES } from '../../src/fingerprint/model-info.js';
import { exportModel } from '../../src/fingerprint/training/export.js';
import { fitFlowEncoder } from '../../src/fingerprint/training/fit.js';
import { adoptModel } from '../../src/fingerprint/training/train.js';
import { FlowBatch } from '../../src/flow/batch.js';
import { Ingest } from '../../src/pipeline/ingest.js';
import { fingerprint } from '../../src/pipeline/ingest-worker.js';
import { ModelInUse } from '../../src/pipeline/model-in-use.js';
import { relearnWorkloads } from '../../src/pipeline/relearn.js';
import { BLOCK_COLUMNS, encodeFlowBlock, Store, storeConfig } from '../../src/store/index.js';
import { makeBatch, type ServiceKind, serviceFlow } from '../fingerprint/support/batch.js';
import { logger } from '../store/support.js';

const KINDS: readonly ServiceKind[] = ['backup', 'api', 'streaming', 'dns', 'batch'];
const NOW_MS = Date.now();
const GATEWAY = 'change';
const built = join(import.meta.dirname, '../../dist/pipeline/ingest-worker.js');

const batchOf = (count: number, from: number): FlowBatch =>
  makeBatch(
    Array.from({ length: count }, (_, i) => {
      const kind = i % KINDS.length;
      return serviceFlow(KINDS[kind]!, from + i, {
        destination: [192, 0, 2, kind + 1],
        startMs: NOW_MS - 600_000 + i * 10,
      });
    }),
  );

/** A model that differs from the shipped one. */
async function otherModel(): Promise<Uint8Array> {
  const schema = featureSchema('port');
  const batch = batchOf(200, 0);
  const data = new Float32Array(batch.rows * schema.dimensions);
  extractFeatures(batch, data, schema);
  const labels = Int32Array.from({ length: batch.rows }, (_, i) => i % KINDS.length);
  const fitted = await fitFlowEncoder(
    { features: { data, rows: batch.rows, columns: schema.dimensions }, labels, classes: KINDS.length },
    schema,
    { seed: 3, steps: 20, trainedOn: 'synthetic services' },
  );
  return fitted.bytes;
}

describe('a change of the fingerprint model', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-model-'));
  let other: Uint8Array;
  beforeAll(async () => {
    other = await otherModel();
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const open = (configured?: string) => ModelInUse.open({ configured, dataDirectory: directory, logger });

  test('takes up a model that was adopted, and keeps the old one when the new one cannot be used', async () => {
    const model = await open();
    const shipped = model.current.info.id;
    const path = adoptedModelPath(directory);
    await expect(model.reload()).rejects.toMatchObject({ code: 'TG_FINGERPRINT_MODEL_MISSING' });

    const damaged = other.slice();
    damaged[damaged.length >> 1]! ^= 1;
    writeFileSync(path, damaged);
    await expect(model.reload()).rejects.toMatchObject({ code: 'TG_FINGERPRINT_MODEL_CORRUPT' });

    writeFileSync(path, new Uint8Array(MODEL_LIMIT_BYTES + 1));
    await expect(model.reload()).rejects.toMatchObject({ code: 'TG_FINGERPRINT_MODEL_SIZE' });

    const inputs = 7;
    const foreign = exportModel({
      shape: { inputs, hidden: 4, outputs: 32, decoderHidden: 4, reconstructed: 0 },
      normalisation: { mean: new Float32Array(inputs), scale: new Float32Array(inputs).fill(1) },
      parameters: new Float32Array(inputs * 4 + 3 * 4 + 4 * 32 + 32).fill(0.1),
      schema: 'flow-99-port',
      trainedOn: 'another version',
      seed: 0,
    });
    writeFileSync(path, foreign.bytes);
    await expect(model.reload()).rejects.toMatchObject({ code: 'TG_FINGERPRINT_MODEL_SCHEMA' });
    expect(model.current.info.id).toBe(shipped);

    // At the next start, too, a model that cannot be used is left out.
    expect((await open()).current.info.id).toBe(shipped);
    // One that the configuration names is not replaced behind its back.
    await expect(open(path)).rejects.toMatchObject({ code: 'TG_FINGERPRINT_MODEL_SCHEMA' });

    await adoptModel(path, other);
    const { info } = await model.reload();
    expect(info.id).not.toBe(shipped);
    expect((await open()).current.info.id).toBe(info.id);
    rmSync(path);
  });

  test('known workloads are encoded anew from stored records, and no two models are compared', async () => {
    const store = new Store({
      config: storeConfig.parse({}),
      dataDirectory: directory,
      gateway: GATEWAY,
      logger,
    });
    await store.start();
    try {
      const model = await open();
      const registry = new WorkloadRegistry({
        ...fingerprintConfig.parse({}),
        modelId: model.current.info.id,
      });
      const pool = { run: (task: unknown) => fingerprint(task as Parameters<typeof fingerprint>[0]) };
      const batch = batchOf(400, 5000);
      const { bytes, info } = model.current;
      const { endpoints, endpointOfRow } = await fingerprint({
        buffer: batch.buffer,
        model: { id: info.id, bytes },
      });
      const assigned = registry.observe(endpoints, NOW_MS);
      registry.label(assigned[0]!.workloadId, 'ours');
      const ids = batch.column('workloadId', 'u32');
      for (let row = 0; row < batch.rows; row += 1) ids[row] = assigned[endpointOfRow[row]!]!.workloadId;
      const block = encodeFlowBlock(batch, { gateway: GATEWAY, links: {} });
      await store.client.insertBlock('flows', BLOCK_COLUMNS, block, 'change:1');
      const before = registry.workloads();

      await adoptModel(adoptedModelPath(directory), other);
      const next = await model.reload();
      registry.changeModel(next.info.id);
      expect(registry.workloads().every((w) => w.fingerprint.every((value) => value === 0))).toBe(true);
      expect(registry.withoutVector()).toHaveLength(before.length);
      // Vectors that the old model still had under way are not taken.
      expect(
        registry.relearn(info.id, new Map([[before[0]!.workloadId, new Float32Array(32).fill(1)]])),
      ).toBe(0);

      const learnt = await relearnWorkloads({
        client: store.client,
        gateway: GATEWAY,
        registry,
        pool: pool as never,
        model: next,
        nowMs: NOW_MS + 1000,
      });
      expect(learnt).toBe(before.length);
      expect(registry.workload(assigned[0]!.workloadId).name).toBe('ours');

      // What the new encoder makes of the live batch is what the store gave back.
      const encoder = await FingerprintEncoder.fromBytes(other);
      await encoder.encode(batch);
      await encoder.release();
      const again = batch.column('fingerprint', 'f32');
      for (const { workloadId, fingerprint: centre } of registry.workloads()) {
        let similarity = 0;
        let rows = 0;
        for (let row = 0; row < batch.rows; row += 1) {
          if (ids[row] !== workloadId) continue;
          for (let i = 0; i < 32; i += 1) similarity += again[row * 32 + i]! * centre[i]!;
          rows += 1;
        }
        expect(similarity / rows).toBeGreaterThan(0.8);
      }
      // The same endpoints are the same workloads, and nothing "behaves differently" by the change alone.
      registry.takeEvents();
      const later = batchOf(400, 9000);
      const found = await fingerprint({
        buffer: later.buffer,
        model: { id: next.info.id, bytes: next.bytes },
      });
      expect(registry.observe(found.endpoints, NOW_MS + 2000).map((a) => a.workloadId)).toEqual(
        assigned.map((a) => a.workloadId),
      );
      expect(registry.takeEvents()).toEqual([]);
    } finally {
      await store.stop();
    }
  });

  test.skipIf(!existsSync(built))(
    `real workers that die in the middle of a task lose no batch, also while the model changes${existsSync(built) ? '' : ` (skipped: ${built} is missing)`}`,
    async () => {
      const deaths = new SharedArrayBuffer(8);
      // Fewer than a batch is tried.
      new Int32Array(deaths).set([2, 2]);
      const pool = new Piscina({
        filename: join(import.meta.dirname, 'fixtures/crashing-worker.mjs'),
        minThreads: 1,
        maxThreads: 2,
        workerData: { deaths, block: { gateway: GATEWAY, links: {} } },
      });
      const shipped = await readModelFile(defaultModelPath());
      const models = [shipped, other].map((bytes, i) => {
        const shared = new SharedArrayBuffer(bytes.length);
        new Uint8Array(shared).set(bytes);
        return { info: { id: `model ${i}` }, bytes: shared };
      });
      let current = models[0]!;
      const written: number[] = [];
      const seen: number[] = [];
      let released = 0;
      const source = { onBatch: undefined as ((batch: FlowBatch) => void) | undefined };
      const ingest = new Ingest({
        source: source as never,
        pool,
        model: () => current,
        registry: {
          observe: (endpoints) => {
            seen.push(endpoints.reduce((sum, endpoint) => sum + endpoint.flows, 0));
            return endpoints.map(() => ({ workloadId: 1, score: 1, isNew: false }));
          },
        },
        writer: { append: async (frame) => void written.push(frame.rows) },
        logger,
      });
      await ingest.start();
      const batches = [50, 60, 70, 80, 90];
      for (const rows of batches)
        source.onBatch!(
          new FlowBatch(batchOf(rows, rows).buffer, () => {
            released += 1;
          }),
        );
      current = models[1]!;
      await ingest.drain();
      await pool.destroy();
      const sorted = (values: number[]): number[] => [...values].sort((a, b) => a - b);
      expect(sorted(written)).toEqual(batches);
      expect(sorted(seen)).toEqual(batches);
      expect(released).toBe(batches.length);
      expect(ingest.counters().lost).toEqual([]);
      expect(new Int32Array(deaths)[0]).toBeLessThanOrEqual(0);
    },
    60_000,
  );
});
