import { readFile } from 'node:fs/promises';
import { FlowBatch } from '../../flow/batch.js';
import { FingerprintEncoder } from '../encoder.js';
import { fail } from '../errors.js';
import { type FeatureVariant, featureSchema, featureSchemaById } from '../features/schema.js';
import { checkedMetadata } from '../model-info.js';
import type { WorkloadLabel } from '../workloads/types.js';
import { type FlowDataset, loadDataset, storedDataset } from './dataset.js';
import { embed, fitFlowEncoder } from './fit.js';
import { stratifiedGroupFolds } from './folds.js';
import { readLabels } from './labels.js';
import { LinearAlgebra } from './linear-algebra.js';
import { type Scores, scores } from './metrics.js';
import { nearestLabels } from './neighbours.js';
import { type Matrix, takeRows } from './normalisation.js';
import { prefixColumns } from './pooling.js';
import { Random } from './random.js';

export type TrainingSource =
  | {
      readonly kind: 'captures';
      readonly directory: string;
      /** A label file, `by-folder`, or `none`: then service endpoints and ports are all there is to learn from. */
      readonly labels: string;
    }
  | {
      readonly kind: 'stored';
      /** A {@link FlowBatch} of stored records. */
      readonly buffer: SharedArrayBuffer;
      /** Names that people and rules gave. */
      readonly labels: readonly WorkloadLabel[];
      readonly blockMs: number;
    };

export interface TrainingRequest {
  readonly source: TrainingSource;
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
/** One fold judges the model in the end, another one says when to stop: a judge must not have chosen. */
const FOLDS = 6;
const JUDGE = 0;
const STOPPER = 1;
const CHECK_EVERY = 50;
/** Checks without a better score after which training ends. */
const PATIENCE = 4;

interface Scored {
  /** Class of each flow, empty = none. */
  readonly classes: string[];
  /** They are labels, and may be learned from. */
  readonly supervised: boolean;
}

/**
 * What flows are scored on: their labels; without any, the port identities of captures, or the service endpoints of
 * stored flows (do the flows of an endpoint find each other at other times?).
 */
function scoredClasses(dataset: FlowDataset, kind: TrainingSource['kind']): Scored {
  const own = dataset.unit === 'capture' ? dataset.captureLabels : undefined;
  const labels = own ? Array.from(dataset.capture, (capture) => own[capture]!) : [...dataset.labels];
  if (new Set(labels.filter((label) => label !== '')).size > 1) return { classes: labels, supervised: true };
  const keys = kind === 'captures' ? dataset.weakKeys.port : dataset.weakKeys.endpoint;
  const inCaptures = new Map<number, Set<number>>();
  keys.forEach((key, row) => {
    inCaptures.set(key, (inCaptures.get(key) ?? new Set()).add(dataset.capture[row]!));
  });
  const classes = Array.from(keys, (key) =>
    key >= 0 && (kind === 'captures' || inCaptures.get(key)!.size > 1) ? String(key) : '',
  );
  return { classes, supervised: false };
}

async function load(
  source: TrainingSource,
  onProgress: (stage: TrainingStage) => void,
): Promise<FlowDataset> {
  if (source.kind === 'stored') return storedDataset(new FlowBatch(source.buffer), source);
  const { directory, labels } = source;
  return loadDataset({
    directory,
    labels: labels === 'by-folder' || labels === 'none' ? labels : readLabels(labels),
    perCaptureAndLabel: PER_CAPTURE_AND_LABEL,
    onCapture: (done, of) => onProgress({ stage: 'reading', done, of }),
  });
}

const rowsWhere = (count: number, test: (row: number) => boolean): number[] =>
  Array.from({ length: count }, (_, row) => row).filter(test);

/**
 * Trains a flow encoder on captures, or on stored flows of whole blocks of time. A sixth of the captures says when to
 * stop, another, seen by nobody, whether the new model is better than the one in use. Deterministic for a seed and the same files.
 */
export async function trainModel(
  request: TrainingRequest,
  onProgress: (stage: TrainingStage) => void,
): Promise<TrainingOutcome> {
  const started = performance.now();
  const { source, variant, seed } = request;
  const dataset = await load(source, onProgress);
  const schema = featureSchema(variant);
  const features = prefixColumns(dataset.features, schema.dimensions);
  const { classes: named, supervised } = scoredClasses(dataset, source.kind);
  const classes = [...new Set(named.filter((label) => label !== ''))].sort();
  if (classes.length < 2)
    throw fail('TG_FINGERPRINT_TOO_FEW', {
      reason:
        source.kind === 'captures'
          ? `${classes.length} classes in ${source.directory}`
          : `${classes.length} service endpoints with flows at several times`,
    });
  const number = new Map(classes.map((label, i) => [label, i]));
  const labels = Int32Array.from(named, (label) => number.get(label) ?? -1);
  const scoredRows = rowsWhere(features.rows, (row) => labels[row]! >= 0);
  const captureOf = (row: number): number => dataset.capture[row]!;
  const folds = Math.min(FOLDS, new Set(scoredRows.map(captureOf)).size);
  const foldOf = stratifiedGroupFolds(
    scoredRows.map(captureOf),
    scoredRows.map((row) => labels[row]!),
    dataset.captures.length,
    classes.length,
    folds,
    new Random(seed),
  );
  const foldOfRow = (row: number): number => foldOf[captureOf(row)]!;
  const isJudged = (row: number): boolean => foldOfRow(row) === JUDGE;
  // With two captures there is nothing left to stop by: then all steps are made.
  const isStopping = (row: number): boolean => folds > 2 && foldOfRow(row) === STOPPER;
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
    const judged = scoredRows.filter(isJudged);
    const rest = scoredRows.filter((row) => !isJudged(row));
    if (rest.length === 0 || judged.length === 0)
      throw fail('TG_FINGERPRINT_TOO_FEW', { reason: 'one capture cannot be split into two parts' });
    const score = async (
      model: Uint8Array,
      inputs: Matrix,
      gallery: readonly number[],
      query: readonly number[],
    ): Promise<Scores> => {
      const truth = query.map((row) => named[row]!);
      const predicted = await nearestLabels(
        algebra,
        await embed(model, takeRows(inputs, gallery)),
        gallery.map((row) => named[row]!),
        await embed(model, takeRows(inputs, query)),
      );
      return scores(truth, predicted);
    };
    const learnt = rest.filter((row) => !isStopping(row));
    const stopping = rest.filter(isStopping);
    let best: { readonly bytes: Uint8Array; readonly macroF1: number; readonly checks: number } | undefined;
    let checks = 0;
    const check = async (bytes: Uint8Array): Promise<boolean> => {
      checks += 1;
      const { macroF1 } =
        stopping.length > 0 && learnt.length > 0
          ? await score(bytes, features, learnt, stopping)
          : { macroF1: checks };
      if (best === undefined || macroF1 > best.macroF1) best = { bytes, macroF1, checks };
      return checks - best.checks < PATIENCE;
    };
    const trainRows = rowsWhere(features.rows, (row) => !isJudged(row) && !isStopping(row));
    const fitted = await fitOn(trainRows, request.steps, check);
    await check(fitted.bytes);
    const chosen = best!;
    const judge = (model: Uint8Array, inputs: Matrix): Promise<Scores> => score(model, inputs, rest, judged);
    const knn1 = await judge(chosen.bytes, features);
    const current = await currentScore(request.currentModel, dataset, judge);
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
          captures: new Set(judged.map(captureOf)).size,
          flows: judged.length,
          knn1,
          current,
        },
        steps: Math.min(chosen.checks * CHECK_EVERY, fitted.training.steps),
        seconds: (performance.now() - started) / 1000,
        better: current === null || knn1.macroF1 > current.macroF1,
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
