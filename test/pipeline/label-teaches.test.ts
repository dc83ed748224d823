import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiServer } from '../../src/api/server.js';
import { buildProgram } from '../../src/cli/table.js';
import { removeRuntimeFile, writeRuntimeFile } from '../../src/config/runtime-file.js';
import {
  adoptedModelPath,
  extractFeatures,
  featureSchema,
  fingerprintConfig,
} from '../../src/fingerprint/index.js';
import { fitFlowEncoder } from '../../src/fingerprint/training/fit.js';
import { adoptModel } from '../../src/fingerprint/training/train.js';
import type { TrainingReport } from '../../src/fingerprint/training/train-model.js';
import type { FlowBatch } from '../../src/flow/batch.js';
import type { Ingest } from '../../src/pipeline/ingest.js';
import { Recognition } from '../../src/pipeline/recognition.js';
import { ApiFixture, GATEWAY, logger } from '../api/support.js';
import { makeBatch, type ServiceKind, serviceFlow } from '../fingerprint/support/batch.js';

const built = join(import.meta.dirname, '../../dist/pipeline/ingest-worker.js');
const missing = existsSync(built) ? undefined : built;
const KINDS: readonly ServiceKind[] = ['backup', 'api', 'streaming', 'dns', 'batch'];
const BLOCKS = 12;
const HOUR_MS = 3_600_000;
const ORDERS = 8443;
const BILLING = 9443;

/** A model that does not look at ports: what differs by nothing else is one thing to it. */
async function portlessModel(): Promise<Uint8Array> {
  const schema = featureSchema('noport');
  const batch = makeBatch(Array.from({ length: 200 }, (_, i) => serviceFlow(KINDS[i % KINDS.length]!, i)));
  const data = new Float32Array(batch.rows * schema.dimensions);
  extractFeatures(batch, data, schema);
  const { bytes } = await fitFlowEncoder(
    {
      features: { data, rows: batch.rows, columns: schema.dimensions },
      labels: Int32Array.from({ length: batch.rows }, (_, i) => i % KINDS.length),
      classes: KINDS.length,
    },
    schema,
    { seed: 3, steps: 30, trainedOn: 'services without their ports' },
  );
  return bytes;
}

describe(`names that people give${missing ? ` (skipped: ${missing} is missing)` : ''}`, () => {
  const fixture = new ApiFixture();
  const recognition = new Recognition({
    gateway: GATEWAY,
    dataDirectory: fixture.directory,
    config: fingerprintConfig.parse({}),
    client: () => fixture.store.client,
    logger,
  });
  const source = { onBatch: undefined as ((batch: FlowBatch) => void) | undefined };
  const before = process.env.TIDEGATE_RUN_DIRECTORY;
  let ingest: Ingest;
  let api: ApiServer;

  /** Runs a command as a person would, in this process. @returns what it printed as JSON */
  const tidegate = async <T>(...words: string[]): Promise<T> => {
    const out: string[] = [];
    const program = await buildProgram(
      {
        stdout: new Writable({ write: (chunk, _encoding, done) => done(void out.push(String(chunk))) }),
        stderr: new Writable({ write: (_chunk, _encoding, done) => done() }),
        interactive: false,
        progress: false,
        signal: new AbortController().signal,
      },
      [words[0]!],
    );
    await program.parseAsync(['node', 'tidegate', ...words, '--output', 'json']);
    return JSON.parse(out.join('')) as T;
  };

  /** Clients of two services that differ in their port alone, on two addresses each, hour after hour. */
  const traffic = (from: number): FlowBatch =>
    makeBatch(
      Array.from({ length: BLOCKS * 40 }, (_, i) =>
        serviceFlow('api', from + i, {
          destination: [192, 0, 2, 1 + (i % 4)],
          destinationPort: i % 2 === 0 ? ORDERS : BILLING,
          startMs: Date.now() - 2 * HOUR_MS + Math.trunc((i * 2 * HOUR_MS) / (BLOCKS * 40)) - 1000,
        }),
      ),
    );
  /** Records of real batches have numbers of their own. */
  const seen = async (batch: FlowBatch, from: number): Promise<void> => {
    for (let row = 0; row < batch.rows; row += 1) batch.column('flowId', 'u64')[row] = BigInt(from + row);
    source.onBatch!(batch);
    await ingest.drain();
    if (!(await fixture.store.writer.drain(60_000))) throw new Error('the flows did not reach the store');
    await recognition.keep(Date.now());
  };

  beforeAll(async () => {
    if (missing) return;
    process.env.TIDEGATE_RUN_DIRECTORY = fixture.directory;
    await fixture.store.start();
    await adoptModel(adoptedModelPath(fixture.directory), await portlessModel());
    await recognition.start();
    ingest = recognition.makeIngest({
      source: source as never,
      writer: fixture.store.writer,
      workerData: { block: { gateway: GATEWAY, links: {} } },
      logger,
    });
    await ingest.start();
    api = new ApiServer({
      ...fixture.dependencies({}),
      workloads: () => recognition.registry,
      reloadModel: () => recognition.reloadModel(),
    });
    await api.start();
    writeRuntimeFile({
      gateway: GATEWAY,
      pid: process.pid,
      startedMs: Date.now(),
      dataDirectory: fixture.directory,
      store: fixture.store.endpoint(),
      api: { socket: fixture.socketPath, urls: [] },
    });
  }, 60_000);

  afterAll(async () => {
    if (!missing) {
      removeRuntimeFile(GATEWAY);
      await api.stop();
      await ingest.stop();
      await recognition.stop();
    }
    await fixture.stop();
    if (before === undefined) delete process.env.TIDEGATE_RUN_DIRECTORY;
    else process.env.TIDEGATE_RUN_DIRECTORY = before;
  });

  test.skipIf(missing)(
    'teach the next training, whose model is used where it is better on times that it never saw',
    async () => {
      const { registry } = recognition;
      const portless = registry.modelId;
      await seen(traffic(0), 0);
      // To a model without ports they are one workload: people know better.
      const [together, ...others] = registry.workloads();
      expect(others).toEqual([]);
      const keys = registry.endpointsOf(together!.workloadId);
      expect(keys).toHaveLength(4);
      await tidegate('workloads', 'label', String(together!.workloadId), 'orders');
      const billing = keys.filter((key) => key.startsWith(`6/${BILLING}/`));
      const [split] = await tidegate<{ workloadId: number }[]>(
        'workloads',
        'split',
        String(together!.workloadId),
        'billing',
        ...billing,
      );
      expect(registry.labels()).toMatchObject([
        { name: 'orders', endpoints: [`6/${ORDERS}/192.0.2.1`, `6/${ORDERS}/192.0.2.3`] },
        { name: 'billing', workloadId: split!.workloadId, endpoints: billing },
      ]);
      // The store hears of names although no flow came since.
      await recognition.keep(Date.now());
      const named = await fixture.store.client.query<{ name: string; by: string }>(
        `SELECT name, JSONExtractString(details, 'namedBy') AS by FROM workloads FINAL WHERE gateway = {gateway:String}
         ORDER BY workloadId`,
        { params: { gateway: GATEWAY } },
      );
      expect(named).toEqual([
        { name: 'orders', by: 'user' },
        { name: 'billing', by: 'user' },
      ]);

      type Outcome = TrainingReport & { readonly adopted: boolean };
      const train = (...more: string[]): Promise<Outcome> =>
        tidegate('fingerprint', 'train', '--from-store', '--since', '3h', ...more);
      const learnt = await train('--steps', '50');
      // All were stored with the number of the one workload; their endpoints say what they are now.
      expect(learnt).toMatchObject({
        flows: BLOCKS * 40,
        labelled: BLOCKS * 40,
        classes: 2,
        better: true,
        adopted: true,
      });
      expect(learnt.heldBack.current!.accuracy).toBeLessThan(0.8);
      expect(learnt.heldBack.knn1.accuracy).toBeGreaterThan(0.95);

      // In use at once; ids and names stay, and both have vectors of the new model, from their stored records.
      expect(registry.modelId).toBe(learnt.model.id);
      expect(registry.modelId).not.toBe(portless);
      expect(registry.withoutVector()).toEqual([]);
      expect(registry.workloads().map((w) => w.name)).toEqual(['orders', 'billing']);

      // Vectors of the old model are still in the store; nobody compares them with the new ones.
      await seen(traffic(5000), 5000);
      const models = await fixture.store.client.query<{ modelId: string }>(
        'SELECT DISTINCT modelId FROM reference_fingerprints ORDER BY modelId',
      );
      expect(models.map((row) => row.modelId)).toEqual([portless, learnt.model.id].sort());
      const similar = await tidegate<{ workloadId: number; similarity: number }[]>(
        'workloads',
        'similar',
        String(split!.workloadId),
      );
      expect(similar.map((one) => one.workloadId)).toEqual([together!.workloadId]);
      const [a, b] = registry.workloads().map((w) => w.fingerprint) as [Float32Array, Float32Array];
      expect(similar[0]!.similarity).toBeCloseTo(
        a.reduce((sum, value, i) => sum + value * b[i]!, 0),
        3,
      );

      // One that is not better on what was held back changes nothing.
      const bytes = readFileSync(adoptedModelPath(fixture.directory));
      const worse = await train('--steps', '1', '--features', 'noport');
      expect(worse).toMatchObject({ better: false, adopted: false });
      expect(readFileSync(adoptedModelPath(fixture.directory)).equals(bytes)).toBe(true);
      expect(registry.modelId).toBe(learnt.model.id);
    },
    120_000,
  );
});
