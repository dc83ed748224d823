import { InferenceSession, Tensor } from 'onnxruntime-node';
import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import { FEATURE_CLIP, type FeatureSchema } from '../features/schema.js';
import { exportModel } from './export.js';
import { networkShape } from './network.js';
import { fitNormalisation, fitPlain, type Matrix, type Normalisation, normalise } from './normalisation.js';
import { MixedSampler, type WeakKeys } from './sampler.js';
import { DEFAULT_LOSS } from './step-graph.js';
import { type TrainingProgress, type TrainingResult, train } from './trainer.js';

/** A trained network: its file, and how its inputs are scaled. */
export interface FittedEncoder {
  readonly bytes: Uint8Array;
  readonly id: string;
  readonly normalisation: Normalisation;
  readonly training: TrainingResult;
}

export interface FitOptions {
  readonly seed: number;
  readonly steps: number;
  readonly trainedOn: string;
  readonly onProgress?: (progress: TrainingProgress, snapshot: () => Uint8Array) => Promise<boolean>;
}

export interface FlowTrainingSet {
  /** Raw features of `schema`. */
  readonly features: Matrix;
  /** Class number, −1 = unlabelled. */
  readonly labels: Int32Array;
  readonly classes: number;
  readonly weakKeys?: WeakKeys;
}

const FLOW_BATCH = 256;
const WEAK_BATCH = 128;
/**
 * Without labels: near pairs count more, four pairs in ten are one flow under two dropouts, and the rate is higher. Each is
 * measured in docs/fingerprints.md.
 */
const WEAK_TEMPERATURE = 0.05;
const WEAK_SELF_SHARE = 0.4;
const WEAK_RATE = 4e-3;
const FLOW_DROPOUT = 0.3;
/** How often the port is withheld, or all but the port. */
const PORT_DROPOUT = { dropPort: 0.1, onlyPort: 0.3 };
/** Where the port is all that says who belongs together, behaviour is learned from only while it is withheld. */
const WEAK_PORT_DROPOUT = { dropPort: 0.5, onlyPort: 0.2 };
const POOLED_BATCH = 96;
const POOLED_DROPOUT = 0.2;
const POOLED_SOFTEN = 0.05;
const POOLED_RATE = 2e-3;
/**
 * Weights of pooled blocks after z-scoring, 1 where not named: hashed inputs would outnumber the dense ones three to
 * one, and hop and payload-spread columns, pooled, tell copies of one firmware apart by chance (docs/fingerprints.md).
 */
const POOLED_SCALE: Readonly<Record<string, number>> = {
  hops: 0,
  payloadShape: 0,
  payloadAt: 0.3,
  payloadBag: 0.3,
  stackExact: 0.3,
};

const columnsOf = (schema: FeatureSchema, part: 'port' | 'bytes'): readonly [number, number] => {
  const blocks = schema.blocks.filter((block) => block.part === part);
  const last = blocks.at(-1);
  return last ? [blocks[0]!.offset, last.offset + last.width] : [0, 0];
};

/** Dense behaviour inputs stand first: what the autoencoder head gives back. */
const reconstructedOf = (schema: FeatureSchema): number =>
  schema.blocks.find((block) => block.kind === 'weighted')!.offset;

/** Trains a flow encoder: supervised contrast and proxies where there are labels, the weak kernel where not. */
export async function fitFlowEncoder(
  set: FlowTrainingSet,
  schema: FeatureSchema,
  options: FitOptions,
): Promise<FittedEncoder> {
  const normalisation = fitNormalisation(set.features, schema);
  const shape = networkShape(schema.dimensions, reconstructedOf(schema));
  const labelled = set.labels.some((label) => label >= 0) ? FLOW_BATCH : 0;
  const sampler = new MixedSampler({
    features: set.features,
    labels: set.labels,
    classes: set.classes,
    labelled,
    weak: labelled > 0 ? WEAK_BATCH : FLOW_BATCH,
    ...(set.weakKeys ? { weakKeys: set.weakKeys } : {}),
    selfShare: labelled > 0 ? 0 : WEAK_SELF_SHARE,
    inputDropout: FLOW_DROPOUT,
    portColumns: columnsOf(schema, 'port'),
    byteColumns: columnsOf(schema, 'bytes'),
    ...(labelled > 0 ? PORT_DROPOUT : WEAK_PORT_DROPOUT),
    dropBytes: 0.2,
  });
  const sparse = new Uint8Array(schema.dimensions);
  for (const block of schema.blocks)
    if (block.kind === 'weighted') sparse.fill(1, block.offset, block.offset + block.width);
  const source = {
    shape,
    normalisation,
    schema: schema.id,
    portColumns: columnsOf(schema, 'port'),
    trainedOn: options.trainedOn,
    seed: options.seed,
  };
  const { onProgress } = options;
  const training = await train(shape, normalisation, sampler, {
    steps: options.steps,
    seed: options.seed,
    isSparseInput: (column) => sparse[column] === 1,
    ...(labelled > 0 ? {} : { rate: WEAK_RATE, loss: { ...DEFAULT_LOSS, temperature: WEAK_TEMPERATURE } }),
    ...(onProgress
      ? {
          onProgress: (progress: TrainingProgress) =>
            onProgress(progress, () => exportModel({ ...source, parameters: progress.parameters }).bytes),
        }
      : {}),
  });
  const { bytes, info } = exportModel({ ...source, parameters: training.parameters });
  return { bytes, id: info.id, normalisation, training };
}

/** Trains a workload encoder on pooled raw features of `schema` (3·D + 1 columns), all z-scored. */
export async function fitPooledEncoder(
  set: FlowTrainingSet,
  schema: FeatureSchema,
  options: FitOptions,
): Promise<FittedEncoder> {
  const normalisation = fitPlain(set.features, POOLED_SOFTEN);
  for (const block of schema.blocks) {
    const weight = POOLED_SCALE[block.name] ?? 1;
    for (let part = 0; part < 3; part += 1)
      for (let column = block.offset; column < block.offset + block.width; column += 1)
        normalisation.scale[part * schema.dimensions + column]! *= weight;
  }
  const shape = networkShape(set.features.columns, 0);
  const sampler = new MixedSampler({
    features: set.features,
    labels: set.labels,
    classes: set.classes,
    labelled: POOLED_BATCH,
    weak: 0,
    inputDropout: POOLED_DROPOUT,
    portColumns: [0, 0],
  });
  const training = await train(shape, normalisation, sampler, {
    steps: options.steps,
    seed: options.seed,
    rate: POOLED_RATE,
    loss: { ...DEFAULT_LOSS, proxy: 0.5, reconstruction: 0 },
    isSparseInput: () => false,
  });
  const { bytes, info } = exportModel({
    shape,
    normalisation,
    parameters: training.parameters,
    schema: `pooled-${schema.id}`,
    trainedOn: options.trainedOn,
    seed: options.seed,
  });
  return { bytes, id: info.id, normalisation, training };
}

/** Fingerprints [n, 32] of raw features by a model file. */
export async function embed(bytes: Uint8Array, features: Matrix): Promise<Matrix> {
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  try {
    const input = new Tensor('float32', features.data, [features.rows, features.columns]);
    const out = await session.run({ features: input });
    const data = out.fingerprint!.data as Float32Array;
    return { data, rows: features.rows, columns: FINGERPRINT_DIMENSIONS };
  } finally {
    await session.release();
  }
}

/** What the raw-feature baselines compare: normalised like the network's inputs. */
export const normalisedInputs = (features: Matrix, by: Normalisation): Matrix =>
  normalise(features, by, FEATURE_CLIP);
