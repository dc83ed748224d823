import { type FeatureVariant, featureSchema } from '../features/schema.js';
import { embed, type FittedEncoder, fitFlowEncoder, fitPooledEncoder, normalisedInputs } from './fit.js';
import type { LinearAlgebra } from './linear-algebra.js';
import { clusterScores } from './metrics.js';
import { averageLinkage, nearestLabels } from './neighbours.js';
import { fitNormalisation, fitPlain, type Matrix, takeRows } from './normalisation.js';
import { selectColumns } from './pooling.js';
import { Random } from './random.js';
import type { WeakKeys } from './sampler.js';

/** Things to be recognised, as raw features of the richest schema: flows, or captures pooled over their flows. */
export interface TaskItems {
  readonly unit: 'flow' | 'capture';
  readonly features: Matrix;
  readonly labels: readonly string[];
  /** Flows only. */
  readonly weakKeys?: WeakKeys;
}

/** Flows that may be learned from although nobody labelled them. */
export interface UnlabelledFlows {
  readonly features: Matrix;
  readonly weakKeys: WeakKeys;
}

export interface RecogniserOptions {
  readonly variant: FeatureVariant;
  readonly seed: number;
  readonly steps: number;
  readonly trainedOn: string;
  /** `weak` learns from service endpoints and ports only. */
  readonly supervision: 'labels' | 'labels+weak' | 'weak';
}

/** Predictions for the query items by each method. */
export interface Predictions {
  readonly knn1: string[];
  readonly majority: string[];
  readonly portProtocol: string[];
  readonly rawKnn: string[];
  readonly rawKnnOld: string[];
  readonly pca32: string[];
  readonly clustering: { readonly nmi: number; readonly purity: number };
  readonly clusteringPca32: { readonly nmi: number; readonly purity: number };
  readonly encoder: FittedEncoder;
}

const OLD_BLOCKS: ReadonlySet<string> = new Set([
  'protocol',
  'volume',
  'sizes',
  'gaps',
  'payloads',
  'flags',
  'stack',
  'portClass',
]);
const MOST_CLUSTERED = 1500;
const PCA_DIMENSIONS = 32;

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** Columns of the richest schema (or of its pooled form) that a choice of blocks uses. */
function columnsOf(
  unit: TaskItems['unit'],
  variant: FeatureVariant,
  keep: (name: string) => boolean,
): number[] {
  const columns = featureSchema(variant)
    .blocks.filter((block) => keep(block.name))
    .flatMap((block) => range(block.offset, block.offset + block.width));
  if (unit === 'flow') return columns;
  const whole = featureSchema('port+bytes').dimensions;
  return [...range(0, 3).flatMap((part) => columns.map((column) => part * whole + column)), 3 * whole];
}

/** Learns from `gallery` and names `query` with the nearest gallery item, beside the baselines. */
export async function recognise(
  algebra: LinearAlgebra,
  gallery: TaskItems,
  query: TaskItems,
  unlabelled: UnlabelledFlows | undefined,
  options: RecogniserOptions,
): Promise<Predictions> {
  const { variant } = options;
  const { unit } = gallery;
  const schema = featureSchema(variant);
  const all = columnsOf(unit, variant, () => true);
  const train = selectColumns(gallery.features, all);
  const test = selectColumns(query.features, all);
  const byNeighbour = async (a: Matrix, b: Matrix): Promise<string[]> =>
    nearestLabels(algebra, a, gallery.labels, b);

  const encoder = await fitGallery(gallery, train, unlabelled, options);
  const trained = await embed(encoder.bytes, train);
  const asked = await embed(encoder.bytes, test);

  const norm = unit === 'flow' ? fitNormalisation(train, schema) : fitPlain(train, 0.05);
  const rawTrain = normalisedInputs(train, norm);
  const rawTest = normalisedInputs(test, norm);
  const subset = async (columns: readonly number[]): Promise<string[]> => {
    const a = selectColumns(gallery.features, columns);
    const plain = fitPlain(a, 0.02);
    return byNeighbour(
      normalisedInputs(a, plain),
      normalisedInputs(selectColumns(query.features, columns), plain),
    );
  };
  const pca = await algebra.principalDirections(rawTrain, PCA_DIMENSIONS, new Random(1));
  const pcaTest = await algebra.timesTransposed(rawTest, pca);
  return {
    knn1: await byNeighbour(trained, asked),
    majority: query.labels.map(() => mostCommon(gallery.labels)),
    portProtocol: await subset(
      columnsOf(unit, 'port', (name) => name === 'protocol' || name === 'portClass' || name === 'portBits'),
    ),
    rawKnn: await byNeighbour(rawTrain, rawTest),
    rawKnnOld: await subset(columnsOf(unit, variant, (name) => OLD_BLOCKS.has(name))),
    pca32: await byNeighbour(await algebra.timesTransposed(rawTrain, pca), pcaTest),
    clustering: await clustered(algebra, asked, query.labels),
    clusteringPca32: await clustered(algebra, pcaTest, query.labels),
    encoder,
  };
}

async function fitGallery(
  gallery: TaskItems,
  train: Matrix,
  unlabelled: UnlabelledFlows | undefined,
  options: RecogniserOptions,
): Promise<FittedEncoder> {
  const classes = [...new Set(gallery.labels)].sort();
  const number = new Map(classes.map((label, i) => [label, i]));
  const labels = Int32Array.from(gallery.labels, (label) => number.get(label)!);
  const schema = featureSchema(options.variant);
  if (gallery.unit === 'capture')
    return fitPooledEncoder({ features: train, labels, classes: classes.length }, schema, options);
  if (options.supervision === 'labels' || unlabelled === undefined)
    return fitFlowEncoder({ features: train, labels, classes: classes.length }, schema, options);
  const extra = selectColumns(unlabelled.features, range(0, schema.dimensions));
  const none = (rows: number): Int32Array => new Int32Array(rows).fill(-1);
  // Without labels the gallery adds nothing: its flows are among the unlabelled ones.
  if (options.supervision === 'weak')
    return fitFlowEncoder(
      { features: extra, labels: none(extra.rows), classes: 0, weakKeys: unlabelled.weakKeys },
      schema,
      options,
    );
  const set = {
    features: stack(train, extra),
    labels: concat(labels, none(extra.rows)),
    classes: classes.length,
    weakKeys: {
      endpoint: concat(none(train.rows), unlabelled.weakKeys.endpoint),
      port: concat(none(train.rows), unlabelled.weakKeys.port),
    },
  };
  return fitFlowEncoder(set, schema, options);
}

const concat = (a: Int32Array, b: Int32Array): Int32Array => {
  const out = new Int32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
};

function stack(a: Matrix, b: Matrix): Matrix {
  const data = new Float32Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return { data, rows: a.rows + b.rows, columns: a.columns };
}

function mostCommon(labels: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

async function clustered(
  algebra: LinearAlgebra,
  vectors: Matrix,
  labels: readonly string[],
): Promise<{ nmi: number; purity: number }> {
  const count = Math.min(vectors.rows, MOST_CLUSTERED);
  const rows = takeRows(vectors, range(0, count));
  const truth = labels.slice(0, count);
  return clusterScores(truth, await averageLinkage(algebra, rows, new Set(truth).size));
}
