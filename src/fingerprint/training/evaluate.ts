import { fail } from '../errors.js';
import type { FeatureVariant } from '../features/schema.js';
import type { FlowDataset } from './dataset.js';
import { stratifiedGroupFolds } from './folds.js';
import { LinearAlgebra } from './linear-algebra.js';
import { type Scores, scores } from './metrics.js';
import { takeRows } from './normalisation.js';
import { poolRows } from './pooling.js';
import { Random } from './random.js';
import {
  type Predictions,
  type RecogniserOptions,
  recognise,
  type TaskItems,
  type UnlabelledFlows,
} from './task.js';

const METHODS = ['knn1', 'majority', 'portProtocol', 'rawKnn', 'rawKnnOld', 'pca32'] as const;
type Method = (typeof METHODS)[number];

/** Figures of one task: the encoder's and, from the same data and split, those of everything it must beat. */
export interface TaskReport {
  readonly features: FeatureVariant;
  readonly split: string;
  readonly unit: TaskItems['unit'];
  readonly supervision: RecogniserOptions['supervision'];
  readonly classes: number;
  readonly captures: number;
  readonly flows: number;
  /** Items that were asked for: flows, or captures. */
  readonly items: number;
  readonly knn1: Scores;
  readonly baselines: Readonly<Record<Exclude<Method, 'knn1'>, Scores>>;
  readonly clustering: { readonly nmi: number; readonly purity: number };
  readonly clusteringPca32: { readonly nmi: number; readonly purity: number };
  readonly training: { readonly steps: number; readonly seconds: number; readonly graphSeconds: number };
}

export interface EvaluationReport {
  readonly tasks: readonly TaskReport[];
  readonly model: { readonly id: string; readonly trainedOn: string };
}

export interface EvaluationOptions {
  readonly variants: readonly FeatureVariant[];
  readonly supervision: RecogniserOptions['supervision'];
  readonly seed: number;
  /** Training steps; by default as many as the unit's recipe asks for. */
  readonly steps?: number;
  readonly onTask?: (done: number, of: number) => void;
}

const FLOW_STEPS = 200;
/** Without labels there is more to see: all flows, not only the labelled ones. */
const WEAK_STEPS = 300;
const CAPTURE_STEPS = 300;
/** A class must be in this many captures to be split by capture. */
const LEAST_CAPTURES = 3;
/** Where that leaves nothing: one to learn from, one to ask. */
const FEWEST_CAPTURES = 2;
const LEAST_QUERIES = 5;

interface Prepared {
  readonly items: TaskItems;
  /** Capture of each item. */
  readonly capture: Int32Array;
  readonly flows: number;
}

/** The labelled items of a data set; `keep` chooses classes. */
function prepare(dataset: FlowDataset, keep: (label: string, captures: number) => boolean): Prepared {
  const inCaptures = new Map<string, Set<number>>();
  const note = (label: string, capture: number): void => {
    if (label === '') return;
    const set = inCaptures.get(label) ?? new Set();
    inCaptures.set(label, set.add(capture));
  };
  const kept = (label: string): boolean => label !== '' && keep(label, inCaptures.get(label)?.size ?? 0);
  if (dataset.unit === 'capture') {
    const flowsOf = new Int32Array(dataset.captures.length);
    for (const capture of dataset.capture) flowsOf[capture]! += 1;
    dataset.captureLabels.forEach((label, capture) => {
      if (flowsOf[capture]! > 0) note(label, capture);
    });
    const pooled = poolRows(dataset.features, dataset.capture, dataset.captures.length);
    const rows = dataset.captures
      .map((_, i) => i)
      .filter((i) => flowsOf[i]! > 0 && kept(dataset.captureLabels[i]!));
    return {
      items: {
        unit: 'capture',
        features: takeRows(pooled, rows),
        labels: rows.map((i) => dataset.captureLabels[i]!),
      },
      capture: Int32Array.from(rows),
      flows: rows.reduce((sum, i) => sum + flowsOf[i]!, 0),
    };
  }
  dataset.labels.forEach((label, row) => {
    note(label, dataset.capture[row]!);
  });
  const rows = dataset.labels.map((_, row) => row).filter((row) => kept(dataset.labels[row]!));
  return {
    items: {
      unit: 'flow',
      features: takeRows(dataset.features, rows),
      labels: rows.map((row) => dataset.labels[row]!),
    },
    capture: Int32Array.from(rows, (row) => dataset.capture[row]!),
    flows: rows.length,
  };
}

const pickItems = (items: TaskItems, rows: readonly number[]): TaskItems => ({
  unit: items.unit,
  features: takeRows(items.features, rows),
  labels: rows.map((row) => items.labels[row]!),
});

/** All flows of the captures for which `inside` holds, without their labels. */
function unlabelledOf(dataset: FlowDataset, inside: (capture: number) => boolean): UnlabelledFlows {
  const rows = Array.from(dataset.capture.keys()).filter((row) => inside(dataset.capture[row]!));
  return {
    features: takeRows(dataset.features, rows),
    weakKeys: {
      endpoint: Int32Array.from(rows, (row) => dataset.weakKeys.endpoint[row]!),
      port: Int32Array.from(rows, (row) => dataset.weakKeys.port[row]!),
    },
  };
}

interface Gathered {
  readonly truth: string[];
  readonly predicted: Record<Method, string[]>;
  readonly parts: Predictions[];
  readonly sizes: number[];
}

const gathered = (): Gathered => ({
  truth: [],
  predicted: { knn1: [], majority: [], portProtocol: [], rawKnn: [], rawKnnOld: [], pca32: [] },
  parts: [],
  sizes: [],
});

function gather(into: Gathered, query: TaskItems, predictions: Predictions): void {
  into.truth.push(...query.labels);
  for (const method of METHODS) into.predicted[method].push(...predictions[method]);
  into.parts.push(predictions);
  into.sizes.push(query.labels.length);
}

function report(
  of: Gathered,
  leastCount: number,
  rest: Pick<TaskReport, 'features' | 'split' | 'unit' | 'supervision' | 'captures' | 'flows'>,
): TaskReport {
  const score = (method: Method): Scores => scores(of.truth, of.predicted[method], leastCount);
  const weighted = (value: (part: Predictions) => number): number =>
    of.parts.reduce((sum, part, i) => sum + value(part) * of.sizes[i]!, 0) / Math.max(1, of.truth.length);
  const mean = (value: (part: Predictions) => number): number =>
    of.parts.reduce((sum, part) => sum + value(part), 0) / of.parts.length;
  return {
    ...rest,
    classes: new Set(of.truth).size,
    items: of.truth.length,
    knn1: score('knn1'),
    baselines: {
      majority: score('majority'),
      portProtocol: score('portProtocol'),
      rawKnn: score('rawKnn'),
      rawKnnOld: score('rawKnnOld'),
      pca32: score('pca32'),
    },
    clustering: {
      nmi: weighted((part) => part.clustering.nmi),
      purity: weighted((part) => part.clustering.purity),
    },
    clusteringPca32: {
      nmi: weighted((part) => part.clusteringPca32.nmi),
      purity: weighted((part) => part.clusteringPca32.purity),
    },
    training: {
      steps: of.parts[0]!.encoder.training.steps,
      seconds: mean((part) => part.encoder.training.seconds),
      graphSeconds: mean((part) => part.encoder.training.graphSeconds),
    },
  };
}

const recogniserOptions = (
  options: EvaluationOptions,
  variant: FeatureVariant,
  unit: TaskItems['unit'],
  seed: number,
  trainedOn: string,
): RecogniserOptions => ({
  variant,
  seed,
  steps:
    options.steps ??
    (unit === 'capture' ? CAPTURE_STEPS : options.supervision === 'weak' ? WEAK_STEPS : FLOW_STEPS),
  trainedOn,
  supervision: options.supervision,
});

/** Cross-validation whose folds share no capture: each is named by an encoder that never saw its captures. */
export async function evaluateFolds(
  dataset: FlowDataset,
  wantedFolds: number,
  name: string,
  options: EvaluationOptions,
): Promise<EvaluationReport> {
  const usual = prepare(dataset, (_label, captures) => captures >= LEAST_CAPTURES);
  const prepared =
    new Set(usual.items.labels).size >= 2
      ? usual
      : prepare(dataset, (_label, captures) => captures >= FEWEST_CAPTURES);
  const { items, capture } = prepared;
  const classes = [...new Set(items.labels)].sort();
  if (classes.length < 2)
    throw fail('TG_FINGERPRINT_TOO_FEW', {
      reason: `${classes.length} classes are in at least ${FEWEST_CAPTURES} captures`,
    });
  const folds = Math.min(wantedFolds, new Set(capture).size);
  const number = new Map(classes.map((label, i) => [label, i]));
  const labels = Int32Array.from(items.labels, (label) => number.get(label)!);
  const foldOf = stratifiedGroupFolds(
    capture,
    labels,
    dataset.captures.length,
    classes.length,
    folds,
    new Random(options.seed),
  );
  const algebra = await LinearAlgebra.create();
  const tasks: TaskReport[] = [];
  let id = '';
  const trainedOn = `${folds} folds of ${name}`;
  try {
    for (const [v, variant] of options.variants.entries()) {
      const all = gathered();
      for (let fold = 0; fold < folds; fold += 1) {
        const rows = items.labels.map((_, i) => i);
        const query = pickItems(
          items,
          rows.filter((i) => foldOf[capture[i]!] === fold),
        );
        const gallery = pickItems(
          items,
          rows.filter((i) => foldOf[capture[i]!] !== fold),
        );
        // With a few uneven captures a fold may stay empty.
        if (query.labels.length === 0) continue;
        if (gallery.labels.length === 0)
          throw fail('TG_FINGERPRINT_TOO_FEW', { reason: 'one capture holds everything that is labelled' });
        const unlabelled = unlabelledOf(dataset, (c) => foldOf[c] !== fold);
        const settings = recogniserOptions(options, variant, items.unit, options.seed + fold, trainedOn);
        const predictions = await recognise(algebra, gallery, query, unlabelled, settings);
        gather(all, query, predictions);
        id = predictions.encoder.id;
        options.onTask?.(v * folds + fold + 1, options.variants.length * folds);
      }
      tasks.push(
        report(all, 1, {
          features: variant,
          split: `${folds}-fold by capture`,
          unit: items.unit,
          supervision: options.supervision,
          captures: new Set(capture).size,
          flows: prepared.flows,
        }),
      );
    }
  } finally {
    await algebra.release();
  }
  return { tasks, model: { id, trainedOn } };
}

/** Learns from one set of captures and names another; classes that the gallery does not have are left out. */
export async function evaluateTransfer(
  galleryData: FlowDataset,
  queryData: FlowDataset,
  name: string,
  options: EvaluationOptions,
): Promise<EvaluationReport> {
  const gallery = prepare(galleryData, () => true);
  const known = new Set(gallery.items.labels);
  const query = prepare(queryData, (label) => known.has(label));
  if (known.size < 2 || query.items.labels.length === 0)
    throw fail('TG_FINGERPRINT_TOO_FEW', {
      reason: `the gallery has ${known.size} classes, ${query.items.labels.length} queries are of one of them`,
    });
  if (gallery.items.unit !== query.items.unit)
    throw fail('TG_FINGERPRINT_TOO_FEW', { reason: 'one side is labelled by flow, the other by capture' });
  const algebra = await LinearAlgebra.create();
  const tasks: TaskReport[] = [];
  let id = '';
  try {
    for (const [v, variant] of options.variants.entries()) {
      const settings = recogniserOptions(options, variant, gallery.items.unit, options.seed, name);
      const unlabelled = unlabelledOf(galleryData, () => true);
      const predictions = await recognise(algebra, gallery.items, query.items, unlabelled, settings);
      const all = gathered();
      gather(all, query.items, predictions);
      id = predictions.encoder.id;
      const least = query.items.unit === 'flow' ? LEAST_QUERIES : 1;
      tasks.push(
        report(all, least, {
          features: variant,
          split: 'gallery and query',
          unit: query.items.unit,
          supervision: options.supervision,
          captures: new Set(query.capture).size,
          flows: query.flows,
        }),
      );
      options.onTask?.(v + 1, options.variants.length);
    }
  } finally {
    await algebra.release();
  }
  return { tasks, model: { id, trainedOn: name } };
}
