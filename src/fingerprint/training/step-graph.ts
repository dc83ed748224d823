import { GraphBuilder } from '../onnx/graph.js';
import {
  buildEncoder,
  buildReconstruction,
  type NetworkShape,
  parameterCount,
  parameterShapes,
} from './network.js';
import type { Normalisation } from './normalisation.js';

/** Weights of the parts of the loss. */
export interface LossWeights {
  /** Supervised contrastive and weak kernel together: rows of the target matrix carry their own weight. */
  readonly contrastive: number;
  /** Cross-entropy against one learned proxy a class. */
  readonly proxy: number;
  readonly temperature: number;
  readonly proxyScale: number;
  readonly reconstruction: number;
}

export const DEFAULT_LOSS: LossWeights = {
  contrastive: 1,
  proxy: 0.3,
  temperature: 0.1,
  proxyScale: 16,
  reconstruction: 0.1,
};

export interface StepGraphOptions {
  readonly shape: NetworkShape;
  readonly normalisation: Normalisation;
  readonly batch: number;
  /** 0 = no proxies. */
  readonly classes: number;
  readonly loss: LossWeights;
  /** Leave the optimiser out and put out loss and flat gradient: for checks. */
  readonly gradientOnly?: boolean;
}

export interface StepGraph {
  readonly model: Uint8Array;
  readonly shapes: readonly (readonly number[])[];
  readonly parameters: number;
  readonly nodes: number;
}

const ADAM_BETA1 = 0.9;
const ADAM_BETA2 = 0.999;
const ADAM_EPSILON = 1e-8;

/**
 * One training step as an ONNX graph. Inputs: `features` [B, D], `inputMask` [B, D], `hiddenMask` [B, H], `pairs`
 * [B, B] (target weights of the contrastive softmax: a row sums to its weight / B), `barred` [B, B] (added to the
 * logits: 0 or −10⁴ where a pair must not count), `classes` [B, K] (one-hot / B), `parameters`, `moment1`, `moment2`
 * [P], `rate`, `decay` (scalars). Outputs: the three vectors after one AdamW step (Loshchilov and Hutter 2019;
 * bias correction is part of `rate`) and `loss`.
 */
export function buildStepGraph(options: StepGraphOptions): StepGraph {
  const { shape, normalisation, batch, classes, loss: weights } = options;
  const graph = new GraphBuilder();
  const shapes = [...parameterShapes(shape), ...(classes > 0 ? [[classes, shape.outputs] as const] : [])];
  const count = parameterCount(shapes);
  const features = graph.input('features', [batch, shape.inputs]);
  const masks = {
    input: graph.input('inputMask', [batch, shape.inputs]),
    hidden: graph.input('hiddenMask', [batch, shape.hidden]),
  };
  const pairs = graph.input('pairs', [batch, batch]);
  const barred = graph.input('barred', [batch, batch]);
  const flat = graph.input('parameters', [count]);
  const parameters = graph.split(flat, shapes);

  const encoder = buildEncoder(graph, features, normalisation, parameters, masks);
  const { fingerprint } = encoder;
  const similarity = graph.mul(
    graph.matmul(fingerprint, fingerprint, { transB: true }),
    graph.scalar(1 / weights.temperature),
  );
  let loss = graph.mul(
    graph.softCrossEntropy(graph.add(similarity, barred), pairs),
    graph.scalar(weights.contrastive),
  );
  if (classes > 0) {
    const labels = graph.input('classes', [batch, classes]);
    const proxies = graph.unitRows(parameters.at(-1)!);
    const logits = graph.mul(
      graph.matmul(fingerprint, proxies, { transB: true }),
      graph.scalar(weights.proxyScale),
    );
    loss = graph.add(loss, graph.mul(graph.softCrossEntropy(logits, labels), graph.scalar(weights.proxy)));
  }
  if (shape.reconstructed > 0) {
    const error = buildReconstruction(graph, encoder, shape.reconstructed, parameters);
    loss = graph.add(loss, graph.mul(graph.sumAll(error), graph.scalar(weights.reconstruction / batch)));
  }
  const gradient = graph.concatFlat(graph.gradients(loss, parameters));
  if (options.gradientOnly) graph.output('gradient', gradient);
  else {
    const moment1 = graph.input('moment1', [count]);
    const moment2 = graph.input('moment2', [count]);
    const rate = graph.input('rate', []);
    const decay = graph.input('decay', []);
    const next1 = graph.add(
      graph.mul(moment1, graph.scalar(ADAM_BETA1)),
      graph.mul(gradient, graph.scalar(1 - ADAM_BETA1)),
    );
    const next2 = graph.add(
      graph.mul(moment2, graph.scalar(ADAM_BETA2)),
      graph.mul(graph.mul(gradient, gradient), graph.scalar(1 - ADAM_BETA2)),
    );
    // Weight decay on matrices only.
    const isMatrix = new Float32Array(count);
    let at = 0;
    for (const piece of shapes) {
      const size = piece.reduce((total, n) => total * n, 1);
      if (piece.length === 2) isMatrix.fill(1, at, at + size);
      at += size;
    }
    const kept = graph.sub(graph.scalar(1), graph.mul(decay, graph.constant(isMatrix, [count])));
    const step = graph.div(graph.mul(next1, rate), graph.add(graph.sqrt(next2), graph.scalar(ADAM_EPSILON)));
    graph.output('nextParameters', graph.sub(graph.mul(flat, kept), step));
    graph.output('nextMoment1', next1);
    graph.output('nextMoment2', next2);
  }
  graph.output('loss', loss);
  return { model: graph.toModel('training-step'), shapes, parameters: count, nodes: graph.nodeCount };
}
