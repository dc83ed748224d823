import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf } from '../base/errors.js';
import type { FlowBatch } from '../flow/batch.js';
import { FINGERPRINT_DIMENSIONS } from '../flow/columns.js';
import { fail } from './errors.js';
import { extractFeatures } from './features/extract.js';
import { type FeatureSchema, featureSchema, featureSchemaById } from './features/schema.js';
import { checkedMetadata, MODEL_LIMIT_BYTES, type ModelInfo } from './model-info.js';

/** Rows of one ONNX call: large enough to hide the call's own cost, small enough for the cache. */
const CHUNK_ROWS = 512;

/** The model that ships with Tidegate, beside this file in src/ and dist/ alike. */
export const defaultModelPath = (): string => fileURLToPath(new URL('./model/default.onnx', import.meta.url));

/** Where a gateway keeps the model that was trained on its own traffic. */
export const adoptedModelPath = (dataDirectory: string): string => join(dataDirectory, 'fingerprint.onnx');

/** A model file as it is, unread. @throws TG_FINGERPRINT_MODEL_MISSING, _SIZE */
export async function readModelFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw fail('TG_FINGERPRINT_MODEL_MISSING', { path, reason: messageOf(error) }, error);
  }
  if (bytes.length > MODEL_LIMIT_BYTES)
    throw fail('TG_FINGERPRINT_MODEL_SIZE', { path, bytes: bytes.length, limit: MODEL_LIMIT_BYTES });
  return bytes;
}

/** What a model says of some rows. */
export interface EncodedRows {
  /** [rows, 32], unit rows. */
  readonly fingerprints: Float32Array;
  /** [rows] */
  readonly errors: Float32Array;
  /** [rows, 32]: the vectors of the same flows without their ports, where the model has ports. */
  readonly behaviours?: Float32Array;
}

/** Turns flow records into 32-dimensional unit vectors. One per thread: it owns its buffers. */
export class FingerprintEncoder {
  readonly info: ModelInfo;
  readonly schema: FeatureSchema;
  readonly #session: InferenceSession;
  // onnxruntime-node refuses tensors over a SharedArrayBuffer: features are made in, and results copied from, these.
  readonly #features: Float32Array;

  private constructor(session: InferenceSession, info: ModelInfo, schema: FeatureSchema) {
    this.#session = session;
    this.info = info;
    this.schema = schema;
    this.#features = new Float32Array(CHUNK_ROWS * schema.dimensions);
  }

  /**
   * Loads a model file, by default the shipped one.
   * @throws TG_FINGERPRINT_MODEL_MISSING, _CORRUPT (damaged, or not made by Tidegate), _SCHEMA, _SIZE
   */
  static async load(modelPath: string = defaultModelPath()): Promise<FingerprintEncoder> {
    return FingerprintEncoder.fromBytes(await readModelFile(modelPath), modelPath);
  }

  /** The same from memory; `path` only names it in errors. */
  static async fromBytes(bytes: Uint8Array, path = 'in memory'): Promise<FingerprintEncoder> {
    const info = checkedMetadata(bytes, path);
    const schema = featureSchemaById(info.schema);
    if (schema === undefined)
      throw fail('TG_FINGERPRINT_MODEL_SCHEMA', {
        path,
        found: info.schema,
        expected: featureSchema('port').id,
      });
    try {
      const session = await InferenceSession.create(bytes, {
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
      });
      const encoder = new FingerprintEncoder(session, info, schema);
      await encoder.run(new Float32Array(schema.dimensions), 1);
      return encoder;
    } catch (error) {
      throw fail('TG_FINGERPRINT_MODEL_CORRUPT', { path, reason: messageOf(error) }, error);
    }
  }

  /**
   * Fills the batch's `fingerprint` (unit rows) and `reconstructionError` columns. Not reentrant: one call at a time.
   *
   * @returns the rows' vectors as they would be without their ports [rows, 32]; undefined from a model that has none
   */
  async encode(batch: FlowBatch): Promise<Float32Array | undefined> {
    const fingerprints = batch.column('fingerprint', 'f32');
    const errors = batch.column('reconstructionError', 'f32');
    let behaviours: Float32Array | undefined;
    for (let from = 0; from < batch.rows; from += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, batch.rows - from);
      extractFeatures(batch, this.#features, this.schema, from, count);
      const result = await this.run(this.#features, count);
      fingerprints.set(result.fingerprints, from * FINGERPRINT_DIMENSIONS);
      errors.set(result.errors, from);
      if (result.behaviours === undefined) continue;
      behaviours ??= new Float32Array(batch.rows * FINGERPRINT_DIMENSIONS);
      behaviours.set(result.behaviours, from * FINGERPRINT_DIMENSIONS);
    }
    return behaviours;
  }

  /** Encodes `count` rows of features [count, schema.dimensions]. */
  async run(features: Float32Array, count: number): Promise<EncodedRows> {
    const { dimensions } = this.schema;
    const input = new Tensor('float32', features.subarray(0, count * dimensions), [count, dimensions]);
    const output = await this.#session.run({ features: input });
    const fingerprints = output.fingerprint?.data;
    const errors = output.reconstructionError?.data;
    const behaviours = output.behaviour?.data;
    if (!(fingerprints instanceof Float32Array) || !(errors instanceof Float32Array))
      throw new TypeError('the model has no fingerprint and reconstructionError outputs');
    if (fingerprints.length !== count * FINGERPRINT_DIMENSIONS)
      throw new TypeError(`the model's vectors do not have ${FINGERPRINT_DIMENSIONS} dimensions`);
    return { fingerprints, errors, ...(behaviours instanceof Float32Array ? { behaviours } : {}) };
  }

  /** Frees the native session. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}
