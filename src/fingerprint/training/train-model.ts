import { readFile } from 'node:fs/promises';
import { FingerprintEncoder } from '../encoder.js';
import { fail } from '../errors.js';
import { type FeatureVariant, featureSchema, featureSchemaById } from '../features/schema.js';
import { checkedMetadata } from '../model-info.js';
import { type FlowDataset, loadDataset } from './dataset.js';
import { embed, fitFlowEncoder } from './fit.js';
import { stratifiedGroupFolds } from './folds.js';
import { readLabels } from './labels.js';
import { LinearAlgebra } from './linear-algebra.js';
import { type Scores, scores } from './metrics.js';
import { nearestLabels } from './neighbours.js';
import { type Matrix, takeRows } from './normalisation.js';
import { prefixColumns } from './pooling.js';
import { Random } from './random.js';

export interface TrainingRequest {
  readonly captures: string;
  /** A label file, `by-folder`, or `none`: then service endpoints and ports are all there is to learn from. */
  readonly labels: string;
  readonly variant: FeatureVariant;
  readonly seed: number;
  readonly steps: number;
  readonly trainedOn: string;
  /** The model in use, to be better than; absent = none. */
  readonly currentModel?: string;
  /** After the split told how well it learns, train once more on everything, for as many steps. */
  readonly useAll: boolean;
}

export interface TrainingReport {
  readonly model: { readonly id: string; readonly schema: string; readonly bytes: number };
  readonly flows: number;
  readonly labelled: number;
  readonly classes: number;
  readonly heldBack: {
    readonly captures: number;
    readonly flows: number;
    /** On captures that the model never saw, nearest neighbour among those it did. */
    readonly knn1: Scores;
    /** The model in use on the same flows, null without one. */
    readonly current: Scores | null;
  };
  readonly steps: number;
  readonly seconds: number;
  /** Better than the current model on the held-back captures (or there is none). */
  readonly better: boolean;
}

export interface TrainingOutcome {
  readonly report: TrainingReport;
  readonly model: Uint8Array;
}

export type TrainingStage =
  | { readonly stage: 'reading'; readonly done: number; readonly of: number }
  | { readonly stage: 'training'; readonly done: number; readonly of: number; readonly loss: number };

const PER_CAPTURE_AND_LABEL = 10;
const HELD_BACK_FOLDS = 5;
const CHECK_EVERY = 50;
/** Checks without a better score after which training ends. */
const PATIENCE = 4;

/** Flows that can be scored, and the classes they are scored on: labels, or without any the port identities. */
function scoredClasses(dataset: FlowDataset): string[] {
  const own = dataset.unit === 'capture' ? dataset.captureLabels : undefined;
  const labels = own ? Array.from(dataset.capture, (capture) => own[capture]!) : [...dataset.labels];
  if (labels.some((label) => label !== '')) return labels;
  return Array.from(dataset.weakKeys.port, (port) => (port >= 0 ? String(port) : ''));
}

const rowsWhere = (count: number, test: (row: number) => boolean): number[] =>
  Array.from({ length: count }, (_, row) => row).filter(test);

/**
 * Trains a flow encoder on captures. A fifth of the captures is held back: they decide when to stop and whether the
 * new model is better than the one in use. Deterministic for a seed and the same files.
 */
export async function trainModel(
  request: TrainingRequest,
  onProgress: (stage: TrainingStage) => void,
): Promise<TrainingOutcome> {
  const started = performance.now();
  const { labels: labelSource, variant, seed } = request;
  const dataset = await loadDataset({
    directory: request.captures,
    labels: labelSource === 'by-folder' || labelSource === 'none' ? labelSource : readLabels(labelSource),
    perCaptureAndLabel: PER_CAPTURE_AND_LABEL,
    onCapture: (done, of) => onProgress({ stage: 'reading', done, of }),
  });
  const schema = featureSchema(variant);
  const features = prefixColumns(dataset.features, schema.dimensions);
  const named = scoredClasses(dataset);
  const supervised = labelSource !== 'none';
  const classes = [...new Set(named.filter((label) => label !== ''))].sort();
  if (classes.length < 2)
    throw fail('TG_FINGERPRINT_TOO_FEW', { reason: `${classes.length} classes in ${request.captures}` });
  const number = new Map(classes.map((label, i) => [label, i]));
  const labels = Int32Array.from(named, (label) => number.get(label) ?? -1);
  const scoredRows = rowsWhere(features.rows, (row) => labels[row]! >= 0);
  const foldOf = stratifiedGroupFolds(
    scoredRows.map((row) => dataset.capture[row]!),
    scoredRows.map((row) => labels[row]!),
    dataset.captures.length,
    classes.length,
    HELD_BACK_FOLDS,
    new Random(seed),
  );
  const heldBack = (row: number): boolean => foldOf[dataset.capture[row]!] === 0;
  const fitOn = (rows: readonly number[], steps: number, check?: (bytes: Uint8Array) => Promise<boolean>) =>
    fitFlowEncoder(
      {
        features: takeRows(features, rows),
        labels: Int32Array.from(rows, (row) => (supervised ? labels[row]! : -1)),
        classes: supervised ? classes.length : 0,
        weakKeys: {
          endpoint: Int32Array.from(rows, (row) => dataset.weakKeys.endpoint[row]!),
          port: Int32Array.from(rows, (row) => dataset.weakKeys.port[row]!),
        },
      },
      schema,
      {
        seed,
        steps,
        trainedOn: request.trainedOn,
        onProgress: async (progress, snapshot) => {
          const { step, loss } = progress;
          onProgress({ stage: 'training', done: step, of: steps, loss });
          return check === undefined || step % CHECK_EVERY !== 0 || (await check(snapshot()));
        },
      },
    );

  const algebra = await LinearAlgebra.create();
  try {
    const gallery = scoredRows.filter((row) => !heldBack(row));
    const query = scoredRows.filter(heldBack);
    if (gallery.length === 0 || query.length === 0)
      throw fail('TG_FINGERPRINT_TOO_FEW', { reason: 'one capture cannot be split into two parts' });
    const score = async (model: Uint8Array, inputs: Matrix): Promise<Scores> => {
      const truth = query.map((row) => named[row]!);
      const predicted = await nearestLabels(
        algebra,
        await embed(model, takeRows(inputs, gallery)),
        gallery.map((row) => named[row]!),
        await embed(model, takeRows(inputs, query)),
      );
      return scores(truth, predicted);
    };
    let best: { readonly bytes: Uint8Array; readonly score: Scores; readonly checks: number } | undefined;
    let checks = 0;
    const check = async (bytes: Uint8Array): Promise<boolean> => {
      checks += 1;
      const now = await score(bytes, features);
      if (best === undefined || now.macroF1 > best.score.macroF1) best = { bytes, score: now, checks };
      return checks - best.checks < PATIENCE;
    };
    const trainRows = rowsWhere(features.rows, (row) => !heldBack(row));
    const fitted = await fitOn(trainRows, request.steps, check);
    await check(fitted.bytes);
    const chosen = best!;
    const current = await currentScore(request.currentModel, dataset, score);
    const everything = (): number[] => rowsWhere(features.rows, () => true);
    const model = request.useAll ? (await fitOn(everything(), request.steps)).bytes : chosen.bytes;
    // Proves that the file loads before anyone adopts it.
    const encoder = await FingerprintEncoder.fromBytes(model, 'just trained');
    await encoder.release();
    return {
      model,
      report: {
        model: { id: encoder.info.id, schema: schema.id, bytes: model.length },
        flows: features.rows,
        labelled: supervised ? scoredRows.length : 0,
        classes: classes.length,
        heldBack: {
          captures: new Set(query.map((row) => dataset.capture[row]!)).size,
          flows: query.length,
          knn1: chosen.score,
          current,
        },
        steps: Math.min(chosen.checks * CHECK_EVERY, fitted.training.steps),
        seconds: (performance.now() - started) / 1000,
        better: current === null || chosen.score.macroF1 > current.macroF1,
      },
    };
  } finally {
    await algebra.release();
  }
}

async function currentScore(
  path: string | undefined,
  dataset: FlowDataset,
  score: (model: Uint8Array, inputs: Matrix) => Promise<Scores>,
): Promise<Scores | null> {
  if (path === undefined) return null;
  const bytes = await readFile(path);
  const schema = featureSchemaById(checkedMetadata(bytes, path).schema);
  return schema ? score(bytes, prefixColumns(dataset.features, schema.dimensions)) : null;
}
