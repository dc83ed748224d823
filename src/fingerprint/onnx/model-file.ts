import { ProtoWriter, readFields } from './protobuf.js';

/** Field numbers and types of onnx.proto (ONNX IR version 8, operator set 17). */
const IR_VERSION = 8;
const OPSET = 17;
const TENSOR_FLOAT = 1;
const TENSOR_INT64 = 7;
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;
const MODEL_METADATA = 14;

export type Dimension = number | string;
export type AttributeValue = number | readonly number[] | { readonly float: number };

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export interface OnnxPort {
  readonly name: string;
  readonly shape: readonly Dimension[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
}

function writeAttribute(writer: ProtoWriter, name: string, value: AttributeValue): void {
  writer.text(1, name);
  if (typeof value === 'number') writer.int(3, value).int(20, ATTRIBUTE_INT);
  else if ('float' in value) writer.float(2, value.float).int(20, ATTRIBUTE_FLOAT);
  else {
    for (const item of value) writer.int(8, item);
    writer.int(20, ATTRIBUTE_INTS);
  }
}

function writeTensor(writer: ProtoWriter, tensor: OnnxTensor): void {
  for (const size of tensor.shape) writer.int(1, size);
  writer.int(2, tensor.data instanceof Float32Array ? TENSOR_FLOAT : TENSOR_INT64);
  writer.text(8, tensor.name);
  writer.bytes(9, new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength));
}

function writePort(writer: ProtoWriter, port: OnnxPort): void {
  writer.text(1, port.name).message(2, (type) =>
    type.message(1, (tensor) =>
      tensor.int(1, TENSOR_FLOAT).message(2, (shape) => {
        for (const size of port.shape)
          shape.message(1, (dim) => (typeof size === 'number' ? dim.int(1, size) : dim.text(2, size)));
      }),
    ),
  );
}

/** The bytes of an ONNX file. `metadata` is what {@link readModelMetadata} gives back. */
export function writeModel(graph: OnnxGraph, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const writer = new ProtoWriter().int(1, IR_VERSION).text(2, 'tidegate');
  writer.message(7, (g) => {
    for (const node of graph.nodes)
      g.message(1, (n) => {
        for (const input of node.inputs) n.text(1, input);
        for (const output of node.outputs) n.text(2, output);
        n.text(4, node.op);
        for (const [name, value] of Object.entries(node.attributes))
          n.message(5, (a) => writeAttribute(a, name, value));
      });
    g.text(2, graph.name);
    for (const tensor of graph.initializers) g.message(5, (t) => writeTensor(t, tensor));
    for (const input of graph.inputs) g.message(11, (p) => writePort(p, input));
    for (const output of graph.outputs) g.message(12, (p) => writePort(p, output));
  });
  writer.message(8, (set) => set.text(1, '').int(2, OPSET));
  for (const [key, value] of Object.entries(metadata))
    writer.message(MODEL_METADATA, (entry) => entry.text(1, key).text(2, value));
  return writer.finish();
}

/** The metadata of an ONNX file (onnxruntime-node does not hand it out). @throws RangeError for other bytes. */
export function readModelMetadata(bytes: Uint8Array): Record<string, string> {
  const metadata: Record<string, string> = {};
  const decoder = new TextDecoder();
  for (const { field, value } of readFields(bytes)) {
    if (field !== MODEL_METADATA || typeof value === 'number') continue;
    const entry = new Map(readFields(value).map((f) => [f.field, f.value]));
    const key = entry.get(1);
    const text = entry.get(2);
    if (key instanceof Uint8Array && text instanceof Uint8Array)
      metadata[decoder.decode(key)] = decoder.decode(text);
  }
  return metadata;
}
