import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { extractFeatures, FingerprintEncoder, featureSchema } from '../../src/fingerprint/index.js';
import { fitFlowEncoder } from '../../src/fingerprint/training/fit.js';
import { stratifiedGroupFolds } from '../../src/fingerprint/training/folds.js';
import { labelsOf, mergeNumberedFolders, readLabels } from '../../src/fingerprint/training/labels.js';
import { LinearAlgebra } from '../../src/fingerprint/training/linear-algebra.js';
import { clusterScores, scores } from '../../src/fingerprint/training/metrics.js';
import { averageLinkage, nearestLabels } from '../../src/fingerprint/training/neighbours.js';
import type { Matrix } from '../../src/fingerprint/training/normalisation.js';
import { Random } from '../../src/fingerprint/training/random.js';
import { adoptModel, trainInWorker } from '../../src/fingerprint/training/train.js';
import { makeBatch, type ServiceKind, serviceFlow } from './support/batch.js';

const KINDS: readonly ServiceKind[] = ['backup', 'api', 'streaming', 'dns', 'batch'];
const schema = featureSchema('noport');

function synthetic(perKind: number, from: number): { features: Matrix; labels: Int32Array } {
  const rows = KINDS.length * perKind;
  const batch = makeBatch(
    Array.from({ length: rows }, (_, i) => serviceFlow(KINDS[i % KINDS.length]!, from + i * 13)),
  );
  const data = new Float32Array(rows * schema.dimensions);
  extractFeatures(batch, data, schema);
  return {
    features: { data, rows, columns: schema.dimensions },
    labels: Int32Array.from({ length: rows }, (_, i) => i % KINDS.length),
  };
}

let algebra: LinearAlgebra;
let directory: string;
beforeAll(async () => {
  algebra = await LinearAlgebra.create();
  directory = mkdtempSync(join(tmpdir(), 'tg-train-'));
});
afterAll(async () => {
  await algebra.release();
  rmSync(directory, { recursive: true });
});

describe('training', () => {
  const set = { ...synthetic(40, 0), classes: KINDS.length };
  const options = { seed: 5, steps: 30, trainedOn: 'synthetic flows' };

  it('gives the same model for the same seed and another for another', async () => {
    const first = await fitFlowEncoder(set, schema, options);
    const again = await fitFlowEncoder(set, schema, options);
    expect(Buffer.compare(first.bytes, again.bytes)).toBe(0);
    const other = await fitFlowEncoder(set, schema, { ...options, seed: 6 });
    expect(other.id).not.toBe(first.id);
  });

  it('makes a model that loads, says what it is, and tells unseen flows apart without ports', async () => {
    const { bytes } = await fitFlowEncoder(set, schema, options);
    const path = join(directory, 'sub', 'model.onnx');
    await adoptModel(path, bytes);
    const encoder = await FingerprintEncoder.load(path);
    expect(encoder.info).toMatchObject({ schema: schema.id, seed: 5, trainedOn: 'synthetic flows' });
    const unseen = synthetic(10, 9000);
    const embed = async (features: Matrix): Promise<Matrix> => {
      const { fingerprints } = await encoder.run(features.data, features.rows);
      return { data: Float32Array.from(fingerprints), rows: features.rows, columns: 32 };
    };
    const predicted = await nearestLabels(
      algebra,
      await embed(set.features),
      Array.from(set.labels, String),
      await embed(unseen.features),
    );
    expect(scores(Array.from(unseen.labels, String), predicted).accuracy).toBeGreaterThan(0.95);
    await encoder.release();
  });

  it('makes a second vector that no port changes: that of a flow whose port is withheld', async () => {
    const full = featureSchema('port');
    const batch = makeBatch(
      Array.from({ length: 60 }, (_, i) =>
        serviceFlow(KINDS[i % KINDS.length]!, i, { destinationPort: 7000 + i }),
      ),
    );
    const features = new Float32Array(batch.rows * full.dimensions);
    extractFeatures(batch, features, full);
    const matrix = { data: features, rows: batch.rows, columns: full.dimensions };
    const labels = Int32Array.from({ length: batch.rows }, (_, i) => i % KINDS.length);
    const fitted = await fitFlowEncoder({ features: matrix, labels, classes: KINDS.length }, full, {
      ...options,
      steps: 15,
    });
    const encoder = await FingerprintEncoder.fromBytes(fitted.bytes);
    const behaviours = Float32Array.from((await encoder.run(features, batch.rows)).behaviours!);
    // An input at its mean is what training calls withheld.
    const withheld = features.slice();
    for (const { part, offset, width } of full.blocks)
      if (part === 'port')
        for (let row = 0; row < batch.rows; row += 1)
          withheld.set(
            fitted.normalisation.mean.subarray(offset, offset + width),
            row * full.dimensions + offset,
          );
    const blind = await encoder.run(withheld, batch.rows);
    behaviours.forEach((value, i) => {
      expect(value).toBeCloseTo(blind.fingerprints[i]!, 4);
    });
    await encoder.release();
  });

  it('lowers its loss, by labels and by endpoints alone', async () => {
    const losses = async (labels: Int32Array, classes: number): Promise<number[]> => {
      const seen: number[] = [];
      await fitFlowEncoder(
        { features: set.features, labels, classes, weakKeys: { endpoint: set.labels, port: set.labels } },
        schema,
        {
          ...options,
          steps: 40,
          onProgress: async ({ loss }) => {
            seen.push(loss);
            return true;
          },
        },
      );
      return seen;
    };
    for (const seen of [
      await losses(set.labels, KINDS.length),
      await losses(new Int32Array(set.labels.length).fill(-1), 0),
    ])
      expect(seen.at(-1)!).toBeLessThan(seen[0]!);
  });
});

describe('training in a worker', () => {
  it('hands errors over whole', async () => {
    const request = {
      source: { kind: 'captures', directory: join(directory, 'nowhere'), labels: 'none' },
      variant: 'port',
      seed: 1,
      steps: 10,
      trainedOn: 'nothing',
      useAll: false,
    } as const;
    await expect(trainInWorker(request, () => {})).rejects.toMatchObject({
      name: 'TidegateError',
      code: 'TG_FINGERPRINT_CAPTURES',
      exitCode: 2,
    });
  });
});

describe('splits', () => {
  it('put every capture into one fold and no fold is empty', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 60 }), fc.integer({ min: 0, max: 1000 }), (captures, seed) => {
        const random = new Random(seed);
        const groupOf = Array.from({ length: captures * 4 }, (_, i) => i % captures);
        const classOf = groupOf.map(() => random.below(4));
        const foldOf = stratifiedGroupFolds(groupOf, classOf, captures, 4, 5, random);
        expect(foldOf).toHaveLength(captures);
        expect(new Set(foldOf).size).toBe(5);
      }),
    );
  });

  it('spread each class evenly when captures allow it', () => {
    const groupOf = Array.from({ length: 50 }, (_, i) => i);
    const classOf = groupOf.map((i) => i % 5);
    const foldOf = stratifiedGroupFolds(groupOf, classOf, 50, 5, 5, new Random(1));
    for (let fold = 0; fold < 5; fold += 1)
      for (let c = 0; c < 5; c += 1)
        expect(groupOf.filter((i) => foldOf[i] === fold && classOf[i] === c)).toHaveLength(2);
  });
});

describe('figures', () => {
  it('agree with hand-worked examples', () => {
    // Class a: precision 1, recall 1/2, F1 2/3. Class b: precision 2/3, recall 1, F1 4/5.
    const { accuracy, macroF1 } = scores(['a', 'a', 'b', 'b'], ['a', 'b', 'b', 'b']);
    expect(accuracy).toBe(0.75);
    expect(macroF1).toBeCloseTo((2 / 3 + 4 / 5) / 2, 12);
    expect(clusterScores(['a', 'a', 'b', 'b'], [1, 1, 2, 2])).toEqual({ nmi: 1, purity: 1 });
    const useless = clusterScores(['a', 'b', 'a', 'b'], [1, 1, 2, 2]);
    expect(useless.nmi).toBeCloseTo(0, 12);
    expect(useless.purity).toBe(0.5);
  });

  it('average linkage finds separate bundles of directions', async () => {
    const random = new Random(2);
    const truth = Array.from({ length: 60 }, (_, i) => i % 3);
    const data = Float32Array.from({ length: 60 * 8 }, (_, i) => {
      const row = Math.trunc(i / 8);
      return (i % 8 === truth[row]! * 2 ? 1 : 0) + random.normal() * 0.1;
    });
    const clusters = await averageLinkage(algebra, { data, rows: 60, columns: 8 }, 3);
    expect(clusterScores(truth.map(String), clusters).purity).toBe(1);
  });

  it('principal directions are orthonormal and catch the variance there is', async () => {
    const random = new Random(4);
    const axes = [random.normal(), random.normal(), random.normal(), random.normal(), random.normal()];
    const data = new Float32Array(200 * 5);
    for (let row = 0; row < 200; row += 1) {
      const along = random.normal() * 10;
      for (let k = 0; k < 5; k += 1) data[row * 5 + k] = along * axes[k]! + random.normal() * 0.01;
    }
    const found = await algebra.principalDirections({ data, rows: 200, columns: 5 }, 2, random);
    const length = Math.hypot(...axes);
    const dot = axes.reduce((sum, axis, k) => sum + (axis / length) * found.data[k]!, 0);
    expect(Math.abs(dot)).toBeCloseTo(1, 3);
    const across = found.data.slice(0, 5).reduce((sum, value, k) => sum + value * found.data[5 + k]!, 0);
    expect(across).toBeCloseTo(0, 4);
  });
});

describe('labels', () => {
  const file = (text: string): string => {
    const path = join(directory, 'labels.csv');
    writeFileSync(path, text);
    return path;
  };

  it('are read by flow, quoted fields included, without those that the port gave away', () => {
    const header =
      'file,protocolIdentifier,sourceAddress,sourcePort,destinationAddress,destinationPort,label,confidence';
    const labels = readLabels(
      file(
        `${header}\n"a, b.pcap",6,10.0.0.1,1,10.0.0.2,2,TLS.Google,DPI\na.pcap,6,::1,1,::2,2,SSH,Match by port\n`,
      ),
    );
    expect(labels.unit).toBe('flow');
    expect([...labels.flows.keys()]).toEqual(['a, b.pcap']);
    expect(labels.flows.get('a, b.pcap')![0]).toMatchObject({ label: 'TLS', protocol: 6 });
  });

  it('are read by capture', () => {
    const { captures } = readLabels(file('file,label\nx/a.pcap,camera\ny/b/1.pcap,lamp\ny/c/1.pcap,plug\n'));
    const of = (capture: string, alone = false) => labelsOf(captures, capture, alone);
    expect(of('a.pcap')).toBe('camera');
    expect(of('c/1.pcap')).toBe('plug');
    expect(of('other/y/b/1.pcap')).toBe('lamp');
    // Two files of that name, and nothing says which.
    expect(of('1.pcap', true)).toBeUndefined();
    // Another folder's, unless it can be no other file.
    expect(of('z/a.pcap')).toBeUndefined();
    expect(of('z/a.pcap', true)).toBe('camera');
    expect(of('d.pcap', true)).toBeUndefined();
  });

  it('are refused with the line when damaged', () => {
    const code = (text: string): unknown => {
      try {
        readLabels(file(text));
        return undefined;
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code('nothing')).toBe('TG_FINGERPRINT_LABELS');
    expect(code('file,label\nonly-one')).toBe('TG_FINGERPRINT_LABELS');
  });

  it('merge numbered copies of a folder but not model numbers', () => {
    const merged = mergeNumberedFolders(['Cam1', 'Cam2', 'Switch', 'Switch2', 'HS100', 'HS110', 'iKettle2']);
    expect([...merged.values()]).toEqual(['Cam', 'Cam', 'Switch', 'Switch', 'HS100', 'HS110', 'iKettle2']);
  });
});
