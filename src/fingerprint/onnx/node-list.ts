import {
  type AttributeValue,
  type Dimension,
  type OnnxNode,
  type OnnxTensor,
  writeModel,
} from './model-file.js';

/** A tensor of the graph under construction. */
export interface Value {
  readonly name: string;
  readonly shape: readonly Dimension[];
}

/** Nodes, constants, inputs and outputs of a graph under construction; every node's result has a name of its own. */
export class NodeList {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: OnnxTensor[] = [];
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];
  readonly #axes = new Map<string, string>();
  #names = 0;

  get count(): number {
    return this.#nodes.length;
  }

  input(name: string, shape: readonly Dimension[]): Value {
    const value = { name, shape };
    this.#inputs.push(value);
    return value;
  }

  output(name: string, value: Value): void {
    this.emit('Identity', [value], value.shape, {}, name);
    this.#outputs.push({ name, shape: value.shape });
  }

  constant(data: Float32Array, shape: readonly number[]): Value {
    const name = this.#name();
    this.#initializers.push({ name, shape, data });
    return { name, shape };
  }

  /** A node with one result. */
  emit(
    op: string,
    inputs: readonly Value[],
    shape: readonly Dimension[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    name = this.#name(),
  ): Value {
    this.#nodes.push({ op, inputs: inputs.map((input) => input.name), outputs: [name], attributes });
    return { name, shape };
  }

  /** A node with one result for each shape. */
  emitSeveral(
    op: string,
    inputs: readonly Value[],
    shapes: readonly (readonly Dimension[])[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): Value[] {
    const results = shapes.map((shape) => ({ name: this.#name(), shape }));
    const outputs = results.map(({ name }) => name);
    this.#nodes.push({ op, inputs: inputs.map((input) => input.name), outputs, attributes });
    return results;
  }

  /** A constant of integers, one for all that ask for the same: axes, sizes, positions. */
  integers(values: readonly number[]): Value {
    const key = values.join(',');
    let name = this.#axes.get(key);
    if (name === undefined) {
      name = this.#name();
      this.#axes.set(key, name);
      this.#initializers.push({
        name,
        shape: [values.length],
        data: BigInt64Array.from(values, (value) => BigInt(value)),
      });
    }
    return { name, shape: [values.length] };
  }

  toModel(name: string, metadata: Readonly<Record<string, string>>): Uint8Array {
    return writeModel(
      {
        name,
        nodes: this.#nodes,
        initializers: this.#initializers,
        inputs: this.#inputs,
        outputs: this.#outputs,
      },
      metadata,
    );
  }

  #name(): string {
    this.#names += 1;
    return `t${this.#names}`;
  }
}
