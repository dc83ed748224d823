import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { GraphBuilder, type Value } from '../../src/fingerprint/onnx/graph.js';
import { networkShape } from '../../src/fingerprint/training/network.js';
import { Random } from '../../src/fingerprint/training/random.js';
import { buildStepGraph, DEFAULT_LOSS } from '../../src/fingerprint/training/step-graph.js';

const random = new Random(3);
const normals = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());
const tensor = (data: Float32Array, shape: readonly number[]): Tensor =>
  new Tensor('float32', data, [...shape]);

type Feeds = Record<string, Tensor>;

/** Loss and gradient of a graph, and the slope of the loss along a direction by central differences. */
async function slopes(
  model: Uint8Array,
  parameters: Float32Array,
  feeds: Feeds,
): Promise<{ analytic: number; numeric: number }> {
  const session = await InferenceSession.create(model, { logSeverityLevel: 3 });
  const run = async (at: Float32Array) => {
    const out = await session.run({ ...feeds, parameters: tensor(at, [at.length]) });
    return { loss: (out.loss!.data as Float32Array)[0]!, gradient: out.gradient!.data as Float32Array };
  };
  const { gradient } = await run(parameters);
  // Along the gradient itself the slope is largest, and float32 noise least.
  let square = 0;
  for (const value of gradient) square += value * value;
  const length = Math.sqrt(square);
  const step = 2e-3;
  const moved = (sign: number): Float32Array =>
    Float32Array.from(parameters, (value, i) => value + (sign * step * gradient[i]!) / length);
  const numeric = ((await run(moved(1))).loss - (await run(moved(-1))).loss) / (2 * step);
  await session.release();
  return { analytic: length, numeric };
}

type Operation = (graph: GraphBuilder, x: Value, y: Value) => Value;

/** Each differentiable operation on x [4, 3] and y of the shape given. */
const operations: readonly (readonly [string, readonly number[], Operation])[] = [
  ['matmul', [3, 5], (g, x, y) => g.matmul(x, y)],
  ['matmul, left transposed', [4, 5], (g, x, y) => g.matmul(x, y, { transA: true })],
  ['matmul, right transposed', [5, 3], (g, x, y) => g.matmul(x, y, { transB: true })],
  ['matmul, both transposed', [5, 4], (g, x, y) => g.matmul(x, y, { transA: true, transB: true })],
  ['matmul with bias', [3], (g, x, y) => g.matmul(x, g.constant(normals(9), [3, 3]), { bias: y })],
  ['add of a row', [3], (g, x, y) => g.add(x, y)],
  ['sub of a column', [4, 1], (g, x, y) => g.sub(x, y)],
  ['mul of a row', [3], (g, x, y) => g.mul(x, y)],
  ['mul with itself', [3], (g, x, y) => g.mul(g.add(x, y), g.add(x, y))],
  ['div', [4, 3], (g, x, y) => g.div(x, g.add(g.mul(y, y), g.scalar(1)))],
  ['relu', [4, 3], (g, x, y) => g.relu(g.add(x, y))],
  ['sqrt', [4, 3], (g, x, y) => g.sqrt(g.add(g.mul(x, x), g.add(g.mul(y, y), g.scalar(0.5))))],
  ['sum of columns', [4, 1], (g, x, y) => g.mul(g.sumColumns(x), y)],
  ['mean of columns', [4, 1], (g, x, y) => g.mul(g.meanColumns(x), y)],
  ['unit rows', [4, 3], (g, x, y) => g.unitRows(g.add(x, y))],
  ['layer norm', [3], (g, x, y) => g.layerNorm(x, y, y)],
];

describe('reverse-mode gradients', () => {
  it.each(operations)('of %s equal finite differences', async (_name, shape, operation) => {
    const graph = new GraphBuilder();
    const size = shape.reduce((total, n) => total * n, 1);
    const flat = graph.input('parameters', [12 + size]);
    const [x, y] = graph.split(flat, [[4, 3], shape]) as [Value, Value];
    const out = operation(graph, x, y);
    const weights = normals((out.shape as number[]).reduce((total, n) => total * n, 1));
    const loss = graph.sumAll(graph.mul(out, graph.constant(weights, out.shape as number[])));
    graph.output('gradient', graph.concatFlat(graph.gradients(loss, [x, y])));
    graph.output('loss', loss);
    const { analytic, numeric } = await slopes(graph.toModel('operation'), normals(12 + size), {});
    expect(Math.abs(numeric - analytic) / analytic).toBeLessThan(5e-3);
  });

  it('of the soft cross-entropy equal finite differences, with rows of any mass', async () => {
    const graph = new GraphBuilder();
    const flat = graph.input('parameters', [12]);
    const [x] = graph.split(flat, [[3, 4]]) as [Value];
    const targets = Float32Array.of(1, 0, 0, 0, 0.2, 0.3, 0.1, 0, 0, 0, 0, 0);
    const loss = graph.softCrossEntropy(x, graph.constant(targets, [3, 4]));
    graph.output('gradient', graph.concatFlat(graph.gradients(loss, [x])));
    graph.output('loss', loss);
    const { analytic, numeric } = await slopes(graph.toModel('loss'), normals(12), {});
    expect(Math.abs(numeric - analytic) / analytic).toBeLessThan(5e-3);
  });

  it('of the whole training step equal finite differences', async () => {
    const [batch, inputs, classes] = [8, 12, 3];
    const shape = networkShape(inputs, 5, 16);
    const graph = buildStepGraph({
      shape,
      normalisation: { mean: new Float32Array(inputs), scale: new Float32Array(inputs).fill(1) },
      batch,
      classes,
      // The decoder's target is cut off from the encoder's gradient on purpose: differences would see it.
      loss: { ...DEFAULT_LOSS, reconstruction: 0 },
      gradientOnly: true,
    });
    const labels = Array.from({ length: batch }, (_, i) => i % classes);
    const pairs = new Float32Array(batch * batch);
    const barred = new Float32Array(batch * batch);
    const oneHot = new Float32Array(batch * classes);
    labels.forEach((label, a) => {
      oneHot[a * classes + label] = 1 / batch;
      labels.forEach((other, b) => {
        if (a === b) barred[a * batch + b] = -1e4;
        else if (label === other) pairs[a * batch + b] = 1 / batch;
      });
    });
    const parameters = normals(graph.parameters).map((value) => value * 0.3);
    const { analytic, numeric } = await slopes(graph.model, parameters, {
      features: tensor(normals(batch * inputs), [batch, inputs]),
      inputMask: tensor(new Float32Array(batch * inputs).fill(1), [batch, inputs]),
      hiddenMask: tensor(new Float32Array(batch * shape.hidden).fill(1), [batch, shape.hidden]),
      pairs: tensor(pairs, [batch, batch]),
      barred: tensor(barred, [batch, batch]),
      classes: tensor(oneHot, [batch, classes]),
    });
    expect(Math.abs(numeric - analytic) / analytic).toBeLessThan(2e-2);
  });
});

describe('layer norm', () => {
  it('is the same in elementary operations and as one operator', async () => {
    const graph = new GraphBuilder();
    const x = graph.input('x', ['N', 6]);
    const gain = graph.constant(normals(6), [6]);
    const bias = graph.constant(normals(6), [6]);
    graph.output('fused', graph.fusedLayerNorm(x, gain, bias));
    graph.output('composed', graph.layerNorm(x, gain, bias));
    const session = await InferenceSession.create(graph.toModel('norm'), { logSeverityLevel: 3 });
    const out = await session.run({ x: tensor(normals(24), [4, 6]) });
    const fused = out.fused!.data as Float32Array;
    (out.composed!.data as Float32Array).forEach((value, i) => {
      expect(value).toBeCloseTo(fused[i]!, 4);
    });
    await session.release();
  });
});
