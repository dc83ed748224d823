import { fail } from '../errors.js';
import type { FeatureVariant } from '../features/schema.js';
import type { FlowDataset } from './dataset.js';
import { stratifiedGroupFolds } from './folds.js';
import { LinearAlgebra } from './linear-algebra.js';
import { Random } from './random.js';
import { type RecogniserOptions, recognise, type TaskItems } from './task.js';
import { pickItems, prepare, unlabelledOf } from './task-items.js';
import { gather, gathered, report, type TaskReport } from './task-report.js';

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
