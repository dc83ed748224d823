import { createHash } from 'node:crypto';
import { fail } from './errors.js';
import { readModelMetadata } from './onnx/model-file.js';

/** No Tidegate model comes near this; more is a mistake. */
export const MODEL_LIMIT_BYTES = 16 * 2 ** 20;
const MARK = 'tidegate-fingerprint';
const CHECKSUM_HEX = 64;

/** What a model file says of itself. */
export interface ModelInfo {
  /** Content id: vectors are comparable only between equal ids. */
  readonly id: string;
  /** Feature schema, {@link FeatureSchema.id}. */
  readonly schema: string;
  /** What it learned from, in words. */
  readonly trainedOn: string;
  readonly seed: number;
}

const checksumOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Id of a model by its weights. */
export const modelIdOf = (weights: Float32Array): string =>
  checksumOf(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength)).slice(0, 16);

/** The metadata to write into a model file before {@link sealModel}. */
export const modelMetadata = (info: ModelInfo): Record<string, string> => ({
  kind: MARK,
  id: info.id,
  schema: info.schema,
  trainedOn: info.trainedOn,
  seed: String(info.seed),
});

/**
 * Appends the checksum of everything before it as one more metadata entry, so that the file stays valid ONNX.
 * The entry has a fixed length: field 14, {1: "sha256", 2: 64 hex digits}.
 */
export function sealModel(bytes: Uint8Array): Uint8Array {
  const entry = new TextEncoder().encode(`\x0a\x06sha256\x12\x40${checksumOf(bytes)}`);
  const out = new Uint8Array(bytes.length + 2 + entry.length);
  out.set(bytes);
  out.set([14 * 8 + 2, entry.length], bytes.length);
  out.set(entry, bytes.length + 2);
  return out;
}

const SEAL_BYTES = 2 + 2 + 'sha256'.length + 2 + CHECKSUM_HEX;

/** Reads the metadata of a model file after checking that not a bit of it changed. @throws TG_FINGERPRINT_MODEL_CORRUPT */
export function checkedMetadata(bytes: Uint8Array, path: string): ModelInfo {
  let metadata: Record<string, string>;
  try {
    metadata = readModelMetadata(bytes);
  } catch (error) {
    throw fail('TG_FINGERPRINT_MODEL_CORRUPT', { path, reason: 'it is not an ONNX file' }, error);
  }
  if (metadata.kind !== MARK || metadata.sha256 === undefined)
    throw fail('TG_FINGERPRINT_MODEL_CORRUPT', { path, reason: 'it was not made by Tidegate' });
  if (metadata.sha256 !== checksumOf(bytes.subarray(0, bytes.length - SEAL_BYTES)))
    throw fail('TG_FINGERPRINT_MODEL_CORRUPT', { path, reason: 'its checksum does not match' });
  const { id = '', schema = '', trainedOn = '', seed = '0' } = metadata;
  return { id, schema, trainedOn, seed: Number(seed) };
}
