import type { ModelInfo } from '../model-info.js';
import { modelIdOf, modelMetadata, sealModel } from '../model-info.js';
import { GraphBuilder, type Value } from '../onnx/graph.js';
import {
  buildBehaviour,
  buildEncoder,
  buildReconstruction,
  type NetworkShape,
  parameterShapes,
} from './network.js';
import type { Normalisation } from './normalisation.js';

export interface ModelSource {
  readonly shape: NetworkShape;
  readonly normalisation: Normalisation;
  /** The flat parameter vector; what follows the encoder's and decoder's (proxies) is left out. */
  readonly parameters: Float32Array;
  readonly schema: string;
  /** Columns [from, to) of the port, empty = none: then there is one vector, not two. */
  readonly portColumns?: readonly [number, number];
  readonly trainedOn: string;
  readonly seed: number;
}

/** A model file: encoder (with and without the port) and autoencoder head over a dynamic number of rows, with its metadata and checksum. */
export function exportModel(source: ModelSource): { readonly bytes: Uint8Array; readonly info: ModelInfo } {
  const { shape, normalisation, parameters, portColumns = [0, 0] } = source;
  const graph = new GraphBuilder();
  let at = 0;
  const values = parameterShapes(shape).map((piece): Value => {
    const size = piece.reduce((total, n) => total * n, 1);
    const data = parameters.slice(at, at + size);
    at += size;
    return graph.constant(data, piece);
  });
  const features = graph.input('features', ['N', shape.inputs]);
  const encoder = buildEncoder(graph, features, normalisation, values);
  graph.output('fingerprint', encoder.fingerprint);
  const [from, to] = portColumns;
  if (to > from) {
    const rows = parameters.slice(from * shape.hidden, to * shape.hidden);
    const portRows = graph.constant(rows, [to - from, shape.hidden]);
    graph.output('behaviour', buildBehaviour(graph, encoder, portColumns, portRows, values));
  }
  const error =
    shape.reconstructed > 0
      ? buildReconstruction(graph, encoder, shape.reconstructed, values)
      : graph.mul(graph.sumColumns(encoder.fingerprint), graph.scalar(0));
  graph.output('reconstructionError', error);
  const weights = new Float32Array(at + normalisation.mean.length * 2);
  weights.set(parameters.subarray(0, at));
  weights.set(normalisation.mean, at);
  weights.set(normalisation.scale, at + normalisation.mean.length);
  const info: ModelInfo = {
    id: modelIdOf(weights),
    schema: source.schema,
    trainedOn: source.trainedOn,
    seed: source.seed,
  };
  return { bytes: sealModel(graph.toModel('fingerprint', modelMetadata(info))), info };
}
