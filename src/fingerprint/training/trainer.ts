import { InferenceSession, Tensor } from 'onnxruntime-node';
import { fail } from '../errors.js';
import { initialParameters, type NetworkShape } from './network.js';
import type { Normalisation } from './normalisation.js';
import { Random } from './random.js';
import type { BatchSampler } from './sampler.js';
import { buildStepGraph, DEFAULT_LOSS, type LossWeights } from './step-graph.js';

export interface TrainingOptions {
  readonly steps: number;
  readonly seed: number;
  /** Peak learning rate; it falls to 0 along a cosine. */
  readonly rate?: number;
  readonly weightDecay?: number;
  readonly loss?: LossWeights;
  readonly hiddenDropout?: number;
  /** Inputs that are hashed and start small. */
  readonly isSparseInput: (column: number) => boolean;
  /** Called every `reportEvery` steps with the parameters so far; `false` ends the training early. */
  readonly onProgress?: (progress: TrainingProgress) => Promise<boolean>;
  readonly reportEvery?: number;
}

export interface TrainingProgress {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly parameters: Float32Array;
}

export interface TrainingResult {
  readonly parameters: Float32Array;
  readonly loss: number;
  readonly steps: number;
  /** Time inside the step graph, and in all. */
  readonly graphSeconds: number;
  readonly seconds: number;
}

const BETA1 = 0.9;
const BETA2 = 0.999;

/** Trains a network with the batches of a sampler. Deterministic for a seed. @throws TG_FINGERPRINT_DIVERGED */
export async function train(
  shape: NetworkShape,
  normalisation: Normalisation,
  sampler: BatchSampler,
  options: TrainingOptions,
): Promise<TrainingResult> {
  const { steps, seed, rate = 2e-3, weightDecay = 1e-2, hiddenDropout = 0.2 } = options;
  const begun = performance.now();
  const random = new Random(seed);
  const { batch, classes } = sampler;
  const graph = buildStepGraph({ shape, normalisation, batch, classes, loss: options.loss ?? DEFAULT_LOSS });
  const session = await InferenceSession.create(graph.model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  let parameters = initialParameters(graph.shapes, random, options.isSparseInput);
  let moment1 = new Float32Array(graph.parameters);
  let moment2 = new Float32Array(graph.parameters);
  const hiddenMask = new Float32Array(batch * shape.hidden);
  const vector = (data: Float32Array): Tensor => new Tensor('float32', data, [data.length]);
  const scalar = (value: number): Tensor => new Tensor('float32', Float32Array.of(value), []);
  let graphMs = 0;
  let loss = Number.NaN;
  let step = 0;
  try {
    for (step = 1; step <= steps; step += 1) {
      const drawn = sampler.draw(random);
      random.dropout(hiddenMask, hiddenDropout);
      const rateNow = rate * 0.5 * (1 + Math.cos((Math.PI * (step - 1)) / steps));
      const corrected = (rateNow * Math.sqrt(1 - BETA2 ** step)) / (1 - BETA1 ** step);
      const started = performance.now();
      const out = await session.run({
        features: new Tensor('float32', drawn.features, [batch, shape.inputs]),
        inputMask: new Tensor('float32', drawn.inputMask, [batch, shape.inputs]),
        hiddenMask: new Tensor('float32', hiddenMask, [batch, shape.hidden]),
        pairs: new Tensor('float32', drawn.pairs, [batch, batch]),
        barred: new Tensor('float32', drawn.barred, [batch, batch]),
        ...(classes > 0 ? { classes: new Tensor('float32', drawn.classes, [batch, classes]) } : {}),
        parameters: vector(parameters),
        moment1: vector(moment1),
        moment2: vector(moment2),
        rate: scalar(corrected),
        decay: scalar(rateNow * weightDecay),
      });
      graphMs += performance.now() - started;
      parameters = out.nextParameters!.data as Float32Array<ArrayBuffer>;
      moment1 = out.nextMoment1!.data as Float32Array<ArrayBuffer>;
      moment2 = out.nextMoment2!.data as Float32Array<ArrayBuffer>;
      loss = (out.loss!.data as Float32Array)[0]!;
      if (!Number.isFinite(loss)) throw fail('TG_FINGERPRINT_DIVERGED', { step });
      if (options.onProgress && step % (options.reportEvery ?? 10) === 0) {
        if (!(await options.onProgress({ step, steps, loss, parameters }))) break;
      }
    }
  } finally {
    await session.release();
  }
  return {
    parameters,
    loss,
    steps: Math.min(step, steps),
    graphSeconds: graphMs / 1000,
    seconds: (performance.now() - begun) / 1000,
  };
}
