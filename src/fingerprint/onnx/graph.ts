import type { Dimension } from './model-file.js';
import { NodeList, type Value } from './node-list.js';
import { broadcast, product, sameShape } from './shapes.js';

export type { Value } from './node-list.js';

interface TapeEntry {
  readonly output: Value;
  readonly inputs: readonly Value[];
  /** Gradients of the inputs from the gradient of the output; undefined = none flows there. */
  readonly backward: (gradient: Value) => readonly (Value | undefined)[];
}

/**
 * Builds an ONNX graph operation by operation and, by reverse-mode differentiation over the same operations, the
 * graph of its gradients. Shapes are [rows, columns] matrices, rank-1 vectors and scalars (rank 0); a dimension may
 * be a name (dynamic) as long as no gradient is asked for.
 */
export class GraphBuilder {
  readonly #nodes = new NodeList();
  readonly #tape: TapeEntry[] = [];

  get nodeCount(): number {
    return this.#nodes.count;
  }

  input(name: string, shape: readonly Dimension[]): Value {
    return this.#nodes.input(name, shape);
  }

  output(name: string, value: Value): void {
    this.#nodes.output(name, value);
  }

  constant(data: Float32Array, shape: readonly number[]): Value {
    return this.#nodes.constant(data, shape);
  }

  scalar(value: number): Value {
    return this.constant(Float32Array.of(value), []);
  }

  toModel(name: string, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    return this.#nodes.toModel(name, metadata);
  }

  /** a·b with either operand transposed, plus an optional bias row. */
  matmul(a: Value, b: Value, options: { transA?: boolean; transB?: boolean; bias?: Value } = {}): Value {
    const { transA = false, transB = false, bias } = options;
    const shape = [a.shape[transA ? 1 : 0]!, b.shape[transB ? 0 : 1]!];
    const output = this.#nodes.emit('Gemm', bias ? [a, b, bias] : [a, b], shape, {
      ...(transA ? { transA: 1 } : {}),
      ...(transB ? { transB: 1 } : {}),
    });
    return this.#record(output, bias ? [a, b, bias] : [a, b], (g) => [
      transA ? this.matmul(b, g, { transA: transB, transB: true }) : this.matmul(g, b, { transB: !transB }),
      transB ? this.matmul(g, a, { transA: true, transB: transA }) : this.matmul(a, g, { transA: !transA }),
      ...(bias ? [this.#sumTo(g, bias.shape)] : []),
    ]);
  }

  add(a: Value, b: Value): Value {
    const output = this.#nodes.emit('Add', [a, b], broadcast(a.shape, b.shape));
    return this.#record(output, [a, b], (g) => [this.#sumTo(g, a.shape), this.#sumTo(g, b.shape)]);
  }

  sub(a: Value, b: Value): Value {
    const output = this.#nodes.emit('Sub', [a, b], broadcast(a.shape, b.shape));
    return this.#record(output, [a, b], (g) => [
      this.#sumTo(g, a.shape),
      this.#sumTo(this.#nodes.emit('Neg', [g], g.shape), b.shape),
    ]);
  }

  mul(a: Value, b: Value): Value {
    const output = this.#nodes.emit('Mul', [a, b], broadcast(a.shape, b.shape));
    return this.#record(output, [a, b], (g) => [
      this.#sumTo(this.mul(g, b), a.shape),
      this.#sumTo(this.mul(g, a), b.shape),
    ]);
  }

  div(a: Value, b: Value): Value {
    const output = this.#nodes.emit('Div', [a, b], broadcast(a.shape, b.shape));
    return this.#record(output, [a, b], (g) => [
      this.#sumTo(this.div(g, b), a.shape),
      this.#sumTo(this.#nodes.emit('Neg', [this.div(this.mul(g, output), b)], output.shape), b.shape),
    ]);
  }

  relu(a: Value): Value {
    const output = this.#nodes.emit('Relu', [a], a.shape);
    return this.#record(output, [a], (g) => [this.mul(g, this.#nodes.emit('Sign', [output], a.shape))]);
  }

  sqrt(a: Value): Value {
    const output = this.#nodes.emit('Sqrt', [a], a.shape);
    return this.#record(output, [a], (g) => [this.div(this.mul(g, this.scalar(0.5)), output)]);
  }

  /** Sum over the last axis, kept as a column: [n, d] → [n, 1]. */
  sumColumns(a: Value): Value {
    const shape = [...a.shape.slice(0, -1), 1];
    const output = this.#reduceSum(a, [a.shape.length - 1], shape, true);
    return this.#record(output, [a], (g) => [this.#broadcastTo(g, a)]);
  }

  meanColumns(a: Value): Value {
    const width = a.shape.at(-1) as number;
    return this.mul(this.sumColumns(a), this.scalar(1 / width));
  }

  /** Sum of everything: a scalar. */
  sumAll(a: Value): Value {
    const output = this.#reduceSum(
      a,
      a.shape.map((_, i) => i),
      [],
      false,
    );
    return this.#record(output, [a], (g) => [this.#broadcastTo(g, a)]);
  }

  /** Limits to ±bound; no gradient flows through it (it is only used on inputs). */
  clip(a: Value, bound: number): Value {
    return this.#nodes.emit('Clip', [a, this.scalar(-bound), this.scalar(bound)], a.shape);
  }

  /** Columns [from, to) of a matrix; no gradient flows through it (it is only used on inputs). */
  columns(a: Value, from: number, to: number): Value {
    const ends = [from, to, 1].map((value) => this.#nodes.integers([value]));
    return this.#nodes.emit('Slice', [a, ...ends], [a.shape[0]!, to - from]);
  }

  /** The same value, behind which no gradient flows. */
  stopGradient(a: Value): Value {
    return this.#nodes.emit('Identity', [a], a.shape);
  }

  /** Rows scaled to length 1. */
  unitRows(a: Value): Value {
    return this.div(a, this.sqrt(this.add(this.sumColumns(this.mul(a, a)), this.scalar(1e-8))));
  }

  /** Each row to mean 0, variance 1, then gain and bias, by elementary operations: differentiable. */
  layerNorm(a: Value, gain: Value, bias: Value): Value {
    const centred = this.sub(a, this.meanColumns(a));
    const deviation = this.sqrt(this.add(this.meanColumns(this.mul(centred, centred)), this.scalar(1e-5)));
    return this.add(this.mul(this.div(centred, deviation), gain), bias);
  }

  /** The same as {@link layerNorm} in one operator: for inference. */
  fusedLayerNorm(a: Value, gain: Value, bias: Value): Value {
    return this.#nodes.emit('LayerNormalization', [a, gain, bias], a.shape, { epsilon: { float: 1e-5 } });
  }

  /**
   * Cross-entropy of row-wise softmax(logits) against target weights: −Σ Q·log softmax(L). Rows of Q may sum to
   * anything, 0 included. No gradient flows into Q.
   */
  softCrossEntropy(logits: Value, targets: Value): Value {
    const logSoftmax = this.#nodes.emit('LogSoftmax', [logits], logits.shape, {
      axis: logits.shape.length - 1,
    });
    const product = this.#nodes.emit('Mul', [targets, logSoftmax], logits.shape);
    const sum = this.#reduceSum(product, [0, 1], [], false);
    const loss = this.#nodes.emit('Neg', [sum], []);
    return this.#record(loss, [logits], (g) => {
      const mass = this.#reduceSum(targets, [1], [targets.shape[0]!, 1], true);
      const expected = this.#nodes.emit(
        'Mul',
        [this.#nodes.emit('Exp', [logSoftmax], logits.shape), mass],
        logits.shape,
      );
      return [this.mul(this.#nodes.emit('Sub', [expected, targets], logits.shape), g)];
    });
  }

  /** Cuts a flat vector into pieces of the given shapes, in order. */
  split(flat: Value, shapes: readonly (readonly number[])[]): Value[] {
    const sizes = shapes.map(product);
    const pieces = this.#nodes.emitSeveral(
      'Split',
      [flat, this.#nodes.integers(sizes)],
      sizes.map((size) => [size]),
      { axis: 0 },
    );
    return pieces.map((piece, i) => this.#reshape(piece, shapes[i]!));
  }

  /** Pieces end to end as one flat vector. */
  concatFlat(pieces: readonly Value[]): Value {
    const flat = pieces.map((piece) => this.#reshape(piece, [product(piece.shape as number[])]));
    const total = flat.reduce((sum, piece) => sum + (piece.shape[0] as number), 0);
    return this.#nodes.emit('Concat', flat, [total], { axis: 0 });
  }

  /** Gradients of a scalar with respect to values, by walking back over the recorded operations. */
  gradients(loss: Value, values: readonly Value[]): Value[] {
    const gradientOf = new Map<string, Value>([[loss.name, this.scalar(1)]]);
    for (const entry of [...this.#tape].reverse()) {
      const gradient = gradientOf.get(entry.output.name);
      if (gradient === undefined) continue;
      entry.backward(gradient).forEach((part, i) => {
        if (part === undefined) return;
        const { name } = entry.inputs[i]!;
        const sofar = gradientOf.get(name);
        gradientOf.set(name, sofar ? this.#nodes.emit('Add', [sofar, part], part.shape) : part);
      });
    }
    return values.map((value) => {
      const gradient = gradientOf.get(value.name);
      if (gradient === undefined) throw new RangeError(`no gradient flows to ${value.name}`);
      return gradient;
    });
  }

  #record(output: Value, inputs: readonly Value[], backward: TapeEntry['backward']): Value {
    this.#tape.push({ output, inputs, backward });
    return output;
  }

  #reduceSum(a: Value, axes: readonly number[], shape: readonly Dimension[], keep: boolean): Value {
    const along = this.#nodes.integers(axes);
    return this.#nodes.emit('ReduceSum', [a, along], shape, { keepdims: keep ? 1 : 0 });
  }

  #reshape(a: Value, shape: readonly number[]): Value {
    return this.#nodes.emit('Reshape', [a, this.#nodes.integers(shape)], shape);
  }

  /** A gradient shaped like `like` from one that is broadcast over it. */
  #broadcastTo(gradient: Value, like: Value): Value {
    const ones = this.constant(
      new Float32Array(product(like.shape as number[])).fill(1),
      like.shape as number[],
    );
    return this.#nodes.emit('Mul', [ones, gradient], like.shape);
  }

  /** Undoes broadcasting: sums a gradient over the axes along which its operand was repeated. */
  #sumTo(gradient: Value, shape: readonly Dimension[]): Value {
    if (sameShape(gradient.shape, shape)) return gradient;
    const missing = gradient.shape.length - shape.length;
    const axes: number[] = [];
    gradient.shape.forEach((size, axis) => {
      if (axis < missing || (shape[axis - missing] === 1 && size !== 1)) axes.push(axis);
    });
    if (axes.length === 0) return this.#broadcastTo(gradient, { name: '', shape });
    const kept = gradient.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const summed = this.#reduceSum(gradient, axes, kept, true);
    return sameShape(kept, shape) ? summed : this.#reshape(summed, shape as number[]);
  }
}
