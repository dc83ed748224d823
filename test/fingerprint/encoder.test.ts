import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  defaultModelPath,
  extractFeatures,
  FEATURE_VARIANTS,
  FingerprintEncoder,
  featureSchema,
} from '../../src/fingerprint/index.js';
import { MODEL_LIMIT_BYTES } from '../../src/fingerprint/model-info.js';
import { exportModel } from '../../src/fingerprint/training/export.js';
import { initialParameters, networkShape, parameterShapes } from '../../src/fingerprint/training/network.js';
import { Random } from '../../src/fingerprint/training/random.js';
import { FLOW_COLUMNS } from '../../src/flow/columns.js';
import { makeBatch, serviceFlow } from './support/batch.js';

const DIMENSIONS = 32;
let directory: string;
let encoder: FingerprintEncoder;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tg-model-'));
  encoder = await FingerprintEncoder.load();
});
afterAll(async () => {
  await encoder.release();
  rmSync(directory, { recursive: true });
});

const normOf = (vector: Float32Array): number =>
  Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

describe('the encoder', () => {
  it('writes a unit vector and a finite error for every row, over several chunks', async () => {
    const flows = Array.from({ length: 1300 }, (_, i) => serviceFlow(i % 2 ? 'api' : 'dns', i));
    const batch = makeBatch(flows);
    await encoder.encode(batch);
    const fingerprints = batch.column('fingerprint', 'f32');
    for (let row = 0; row < batch.rows; row += 1)
      expect(normOf(fingerprints.slice(row * DIMENSIONS, (row + 1) * DIMENSIONS))).toBeCloseTo(1, 3);
    for (const error of batch.column('reconstructionError', 'f32')) expect(Number.isFinite(error)).toBe(true);
  });

  it('gives a row the same vector wherever it stands in a batch', async () => {
    const alone = makeBatch([serviceFlow('api', 5)]);
    const among = makeBatch([
      ...Array.from({ length: 700 }, (_, i) => serviceFlow('dns', i)),
      serviceFlow('api', 5),
    ]);
    await encoder.encode(alone);
    await encoder.encode(among);
    const last = among.column('fingerprint', 'f32').slice(700 * DIMENSIONS);
    alone.column('fingerprint', 'f32').forEach((value, i) => {
      expect(value).toBeCloseTo(last[i]!, 5);
    });
  });

  it('takes an empty batch', async () => {
    const batch = makeBatch([]);
    await encoder.encode(batch);
    expect(batch.column('fingerprint', 'f32')).toHaveLength(0);
  });

  it('keeps unit vectors whatever the counters hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 700, maxLength: 700 }), async (noise) => {
        const batch = makeBatch([serviceFlow('api', 0), serviceFlow('dns', 1)]);
        let at = 0;
        for (const { name, type } of FLOW_COLUMNS.filter((column) => column.origin === 'metered')) {
          const view = batch.column(name, type);
          const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
          for (let i = 0; i < bytes.length; i += 1, at += 1) bytes[i] = noise[at % noise.length]!;
        }
        for (const variant of FEATURE_VARIANTS) {
          const schema = featureSchema(variant);
          const features = new Float32Array(2 * schema.dimensions);
          extractFeatures(batch, features, schema);
          expect(features.every(Number.isFinite)).toBe(true);
        }
        await encoder.encode(batch);
        expect(normOf(batch.column('fingerprint', 'f32').slice(0, DIMENSIONS))).toBeCloseTo(1, 3);
      }),
      { numRuns: 40 },
    );
  });

  it('refuses a model with a single changed bit, a cut one, and bytes of something else', async () => {
    const bytes = readFileSync(defaultModelPath());
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes.length * 8 - 1 }), async (bit) => {
        const damaged = Uint8Array.from(bytes);
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        await expect(FingerprintEncoder.fromBytes(damaged)).rejects.toMatchObject({
          code: expect.stringMatching(/^TG_FINGERPRINT_MODEL_(CORRUPT|SCHEMA)$/),
        });
      }),
      { numRuns: 60 },
    );
    const path = join(directory, 'cut.onnx');
    writeFileSync(path, bytes);
    truncateSync(path, bytes.length >> 1);
    await expect(FingerprintEncoder.load(path)).rejects.toMatchObject({
      code: 'TG_FINGERPRINT_MODEL_CORRUPT',
    });
    await expect(FingerprintEncoder.fromBytes(new TextEncoder().encode('hello'))).rejects.toMatchObject({
      code: 'TG_FINGERPRINT_MODEL_CORRUPT',
    });
  });

  it('refuses a missing file, a huge one, and one of another feature schema', async () => {
    await expect(FingerprintEncoder.load(join(directory, 'none.onnx'))).rejects.toMatchObject({
      code: 'TG_FINGERPRINT_MODEL_MISSING',
    });
    const huge = join(directory, 'huge.onnx');
    writeFileSync(huge, '');
    truncateSync(huge, MODEL_LIMIT_BYTES + 1);
    await expect(FingerprintEncoder.load(huge)).rejects.toMatchObject({ code: 'TG_FINGERPRINT_MODEL_SIZE' });
    const shape = networkShape(10, 4, 8);
    const { bytes } = exportModel({
      shape,
      normalisation: { mean: new Float32Array(10), scale: new Float32Array(10).fill(1) },
      parameters: initialParameters(parameterShapes(shape), new Random(1), () => false),
      schema: 'flow-1-port',
      trainedOn: 'nothing',
      seed: 1,
    });
    await expect(FingerprintEncoder.fromBytes(bytes)).rejects.toMatchObject({
      code: 'TG_FINGERPRINT_MODEL_SCHEMA',
      details: { found: 'flow-1-port' },
    });
  });
});

describe('features', () => {
  it('of a leaner schema are a prefix of those of a richer one', () => {
    const batch = makeBatch([serviceFlow('api', 3)]);
    const of = (variant: (typeof FEATURE_VARIANTS)[number]): Float32Array => {
      const schema = featureSchema(variant);
      const out = new Float32Array(schema.dimensions);
      extractFeatures(batch, out, schema);
      return out;
    };
    const [noport, port, bytes] = FEATURE_VARIANTS.map(of) as [Float32Array, Float32Array, Float32Array];
    expect(port.slice(0, noport.length)).toEqual(noport);
    expect(bytes.slice(0, port.length)).toEqual(port);
  });

  it('without the port do not change with ports and addresses', () => {
    const schema = featureSchema('noport');
    const of = (at: Parameters<typeof serviceFlow>[2]): Float32Array => {
      const out = new Float32Array(schema.dimensions);
      extractFeatures(makeBatch([serviceFlow('streaming', 3, at)]), out, schema);
      return out;
    };
    expect(of({ destinationPort: 1234, destination: [203, 0, 113, 9] })).toEqual(of({}));
  });
});
