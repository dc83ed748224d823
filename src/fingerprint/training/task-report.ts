import type { FeatureVariant } from '../features/schema.js';
import { type Scores, scores } from './metrics.js';
import type { Predictions, RecogniserOptions, TaskItems } from './task.js';

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

/** Predictions of all parts of a split, end to end. */
export interface Gathered {
  readonly truth: string[];
  readonly predicted: Record<Method, string[]>;
  readonly parts: Predictions[];
  readonly sizes: number[];
}

export const gathered = (): Gathered => ({
  truth: [],
  predicted: { knn1: [], majority: [], portProtocol: [], rawKnn: [], rawKnnOld: [], pca32: [] },
  parts: [],
  sizes: [],
});

export function gather(into: Gathered, query: TaskItems, predictions: Predictions): void {
  into.truth.push(...query.labels);
  for (const method of METHODS) into.predicted[method].push(...predictions[method]);
  into.parts.push(predictions);
  into.sizes.push(query.labels.length);
}

/**
 * The figures of what was gathered.
 *
 * @param leastCount queries of a class below which it does not count for macro-F1
 */
export function report(
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
