import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cosine } from '../../src/fingerprint/index.js';
import { Random } from '../../src/fingerprint/training/random.js';
import {
  type ReferenceVector,
  Store,
  similarWorkloads,
  storeConfig,
  writeReferences,
} from '../../src/store/index.js';
import { logger } from './support.js';

const random = new Random(11);
const NOW_MS = Date.now();

function near(centre: ArrayLike<number>, spread: number): Float32Array {
  const vector = Float32Array.from({ length: 32 }, (_, i) => (centre[i] ?? 0) + random.normal() * spread);
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
const NOWHERE = new Float32Array(32);

describe('look-up of what was seen before', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-reference-'));
  let store: Store;
  const bundles = Array.from({ length: 30 }, () => near(NOWHERE, 1));
  const references: ReferenceVector[] = Array.from({ length: 600 }, (_, i) => ({
    workloadId: i + 1,
    modelId: 'one',
    fingerprint: near(bundles[i % bundles.length]!, 0.05),
  }));

  beforeAll(async () => {
    store = new Store({ config: storeConfig.parse({}), dataDirectory: directory, gateway: 'here', logger });
    await store.start();
    await writeReferences(store.client, 'here', references, NOW_MS);
  });
  afterAll(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const ask = (vector: ArrayLike<number>, count = 10, modelId = 'one', exact = false) =>
    similarWorkloads(store.client, { vector, modelId, count, exact });

  test('finds what comparing with every vector finds, by the index and without it', async () => {
    let found = 0;
    for (let i = 0; i < 20; i += 1) {
      const vector = near(bundles[i]!, 0.05);
      const expected = references
        .map((r) => ({ id: r.workloadId, similarity: cosine(r.fingerprint, vector) }))
        .sort((a, b) => b.similarity - a.similarity)
        .slice(0, 10);
      const exact = await ask(vector, 10, 'one', true);
      expect(exact.map((one) => one.workloadId)).toEqual(expected.map((one) => one.id));
      for (const [k, one] of exact.entries()) expect(one.similarity).toBeCloseTo(expected[k]!.similarity, 4);
      const ids = new Set(expected.map((one) => one.id));
      found += (await ask(vector)).filter((one) => ids.has(one.workloadId)).length;
    }
    // The index is approximate: it may miss a few of 200.
    expect(found).toBeGreaterThanOrEqual(180);
  });

  test('the plan of the query uses the index', async () => {
    const rows = await store.client.query<{ explain: string }>(
      `EXPLAIN indexes = 1 SELECT gateway, workloadId FROM reference_fingerprints WHERE modelId = 'one'
       ORDER BY cosineDistance(fingerprint, [${[...bundles[0]!].join(', ')}]) LIMIT 40`,
    );
    expect(rows.map((row) => row.explain).join('\n')).toMatch(/vector_similarity/);
  });

  test('never compares vectors of two encoders', async () => {
    const other = { workloadId: 9001, modelId: 'two', fingerprint: references[0]!.fingerprint };
    await writeReferences(store.client, 'here', [other], NOW_MS);
    expect((await ask(other.fingerprint)).map((one) => one.workloadId)).not.toContain(9001);
    expect((await ask(other.fingerprint, 5, 'two')).map((one) => one.workloadId)).toEqual([9001]);
    expect(await ask(other.fingerprint, 5, 'three')).toEqual([]);
  });

  test('the newest vector of a workload counts', async () => {
    const moved = near(NOWHERE, 1);
    await writeReferences(store.client, 'here', [{ ...references[7]!, fingerprint: moved }], NOW_MS + 1000);
    const [first] = await ask(moved);
    expect(first!.workloadId).toBe(8);
    expect(first!.similarity).toBeCloseTo(1, 4);
    const back = await ask(references[7]!.fingerprint, 3);
    expect(back.map((one) => one.workloadId)).not.toContain(8);
  });

  test('tells the history behind it, of other gateways too', async () => {
    const strange = near(NOWHERE, 1);
    await writeReferences(
      store.client,
      'there',
      [{ workloadId: 4, modelId: 'one', fingerprint: strange }],
      NOW_MS,
    );
    await store.client.insertRows('workloads', [
      {
        gateway: 'there',
        workloadId: 4,
        name: 'nightly backup',
        fingerprint: [...strange],
        modelId: 'one',
        firstSeen: new Date(NOW_MS - 86_400_000).toISOString(),
        lastSeen: new Date(NOW_MS).toISOString(),
        flows: 77,
        details: '{}',
        updated: new Date(NOW_MS).toISOString(),
      },
    ]);
    const [best] = await ask(near(strange, 0.01), 1);
    expect(best).toMatchObject({
      gateway: 'there',
      workloadId: 4,
      name: 'nightly backup',
      flows: 77,
      firstSeenMs: NOW_MS - 86_400_000,
      historyHours: 0,
      historyOctets: 0,
    });
  });

  test('refuses what is no vector', async () => {
    await expect(ask(new Float32Array(31))).rejects.toThrow(RangeError);
    await expect(ask(new Float32Array(32).fill(Number.NaN))).rejects.toThrow(RangeError);
  });
});
