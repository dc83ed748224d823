import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import { FEATURE_CLIP } from '../features/schema.js';
import type { GraphBuilder, Value } from '../onnx/graph.js';
import type { Normalisation } from './normalisation.js';
import type { Random } from './random.js';

/** Sizes of a network: `inputs` → `hidden` → 32, and a decoder from the 32 back to the first `reconstructed` inputs. */
export interface NetworkShape {
  readonly inputs: number;
  readonly hidden: number;
  readonly outputs: number;
  readonly decoderHidden: number;
  /** 0 = no autoencoder head. */
  readonly reconstructed: number;
}

export const networkShape = (inputs: number, reconstructed: number, hidden = 256): NetworkShape => ({
  inputs,
  hidden,
  outputs: FINGERPRINT_DIMENSIONS,
  decoderHidden: 64,
  reconstructed,
});

/** The parameters in their order in the flat vector. */
export function parameterShapes(shape: NetworkShape): (readonly number[])[] {
  const { inputs, hidden, outputs, decoderHidden, reconstructed } = shape;
  const encoder = [[inputs, hidden], [hidden], [hidden], [hidden], [hidden, outputs], [outputs]];
  if (reconstructed === 0) return encoder;
  return [
    ...encoder,
    [outputs, decoderHidden],
    [decoderHidden],
    [decoderHidden, reconstructed],
    [reconstructed],
  ];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((total, size) => total * size, 1);

export const parameterCount = (shapes: readonly (readonly number[])[]): number =>
  shapes.reduce((total, shape) => total + sizeOf(shape), 0);

/** Start values: He for matrices, `sparseDeviation` for rows of hashed inputs, gain 1, biases 0. */
export function initialParameters(
  shapes: readonly (readonly number[])[],
  random: Random,
  isSparseInput: (row: number) => boolean,
): Float32Array {
  const sparseDeviation = 0.05;
  const out = new Float32Array(parameterCount(shapes));
  let at = 0;
  shapes.forEach((shape, i) => {
    const size = sizeOf(shape);
    const isGain = i === 2;
    if (isGain) out.fill(1, at, at + size);
    else if (shape.length === 2) {
      const [rows, columns] = shape as [number, number];
      const deviation = Math.sqrt((i === 0 ? 2 : 1) / rows);
      for (let k = 0; k < size; k += 1) {
        const sparse = i === 0 && isSparseInput(Math.trunc(k / columns));
        out[at + k] = random.normal() * (sparse ? sparseDeviation : deviation);
      }
    }
    at += size;
  });
  return out;
}

export interface EncoderGraph {
  /** [n, inputs] as the network sees them. */
  readonly normalised: Value;
  /** [n, hidden] before it is levelled. */
  readonly linear: Value;
  /** [n, 32] unit rows. */
  readonly fingerprint: Value;
}

export interface DropoutMasks {
  readonly input: Value;
  readonly hidden: Value;
}

/** features → normalise → Gemm → layer norm → ReLU → Gemm → unit length. Masks only in training. */
export function buildEncoder(
  graph: GraphBuilder,
  features: Value,
  normalisation: Normalisation,
  parameters: readonly Value[],
  masks?: DropoutMasks,
): EncoderGraph {
  const [weight1, bias1, gain, shift, weight2, bias2] = parameters as [
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const columns = normalisation.mean.length;
  const centred = graph.sub(features, graph.constant(normalisation.mean, [columns]));
  const scaled = graph.mul(centred, graph.constant(normalisation.scale, [columns]));
  const normalised = graph.clip(scaled, FEATURE_CLIP);
  const dropped = masks ? graph.mul(normalised, masks.input) : normalised;
  const linear = graph.matmul(dropped, weight1, { bias: bias1 });
  const levelled = masks ? graph.layerNorm(linear, gain, shift) : graph.fusedLayerNorm(linear, gain, shift);
  const active = graph.relu(levelled);
  const kept = masks ? graph.mul(active, masks.hidden) : active;
  const embedded = graph.matmul(kept, weight2, { bias: bias2 });
  return { normalised, linear, fingerprint: graph.unitRows(embedded) };
}

/**
 * The vector that the same network gives a flow whose port it is not told, for inference: what the port added to the
 * hidden layer is taken out again, which costs less than a second pass. Training withholds the port at times, so it means something.
 *
 * @param portRows rows [to − from, hidden] of the first matrix, the port's columns
 */
export function buildBehaviour(
  graph: GraphBuilder,
  encoder: EncoderGraph,
  [from, to]: readonly [number, number],
  portRows: Value,
  parameters: readonly Value[],
): Value {
  const [, , gain, shift, weight2, bias2] = parameters as [Value, Value, Value, Value, Value, Value];
  const port = graph.matmul(graph.columns(encoder.normalised, from, to), portRows);
  const active = graph.relu(graph.fusedLayerNorm(graph.sub(encoder.linear, port), gain, shift));
  return graph.unitRows(graph.matmul(active, weight2, { bias: bias2 }));
}

/** Mean squared error [n, 1] of the inputs as decoded from the (gradient-stopped) fingerprint. */
export function buildReconstruction(
  graph: GraphBuilder,
  encoder: EncoderGraph,
  reconstructed: number,
  parameters: readonly Value[],
): Value {
  const [weight3, bias3, weight4, bias4] = parameters.slice(6) as [Value, Value, Value, Value];
  const code = graph.stopGradient(encoder.fingerprint);
  const decoded = graph.matmul(graph.relu(graph.matmul(code, weight3, { bias: bias3 })), weight4, {
    bias: bias4,
  });
  const difference = graph.sub(decoded, graph.columns(encoder.normalised, 0, reconstructed));
  return graph.meanColumns(graph.mul(difference, difference));
}
