// Compares networks on one split: five folds by capture, learned from labels and the weak kernel, the sampler, losses,
// steps and optimiser that ship. Each is asked with all of its inputs and with a part withheld.
// usage: node bench/fingerprint/variants.mjs --captures DIR --labels FILE [--seeds 0,1] [--only WORD,…]
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { featureSchema } from '../../dist/fingerprint/features/schema.js';
import { GraphBuilder } from '../../dist/fingerprint/onnx/graph.js';
import { loadDataset } from '../../dist/fingerprint/training/dataset.js';
import { stratifiedGroupFolds } from '../../dist/fingerprint/training/folds.js';
import { readLabels } from '../../dist/fingerprint/training/labels.js';
import { LinearAlgebra } from '../../dist/fingerprint/training/linear-algebra.js';
import { scores } from '../../dist/fingerprint/training/metrics.js';
import { nearestLabels } from '../../dist/fingerprint/training/neighbours.js';
import { fitNormalisation, normalise, takeRows } from '../../dist/fingerprint/training/normalisation.js';
import { prefixColumns } from '../../dist/fingerprint/training/pooling.js';
import { Random } from '../../dist/fingerprint/training/random.js';
import { MixedSampler } from '../../dist/fingerprint/training/sampler.js';
import { prepare } from '../../dist/fingerprint/training/task-items.js';
import { VARIANTS } from './networks.mjs';

const FOLDS = 5;
const STEPS = 200;
const RATE = 2e-3;
const DECAY = 1e-2;
const TEMPERATURE = 0.1;
const PROXY = { weight: 0.3, scale: 16 };
const HIDDEN = 256;
const HIDDEN_DROPOUT = 0.2;
const ORT = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };

const { values: flags } = parseArgs({
  options: {
    captures: { type: 'string' },
    labels: { type: 'string' },
    seeds: { type: 'string', default: '0,1' },
    only: { type: 'string', default: '' },
  },
});

const size = (shape) => shape.reduce((a, b) => a * b, 1);
const columnsOf = (schema, part) => {
  const blocks = schema.blocks.filter((block) => block.part === part);
  return blocks.length === 0 ? [0, 0] : [blocks[0].offset, blocks.at(-1).offset + blocks.at(-1).width];
};

function normalised(graph, features, { mean, scale }) {
  const centred = graph.sub(features, graph.constant(mean, [mean.length]));
  return graph.clip(graph.mul(centred, graph.constant(scale, [scale.length])), 4);
}

/** He for matrices of inputs, small for hashed ones; gains 1, biases 0. */
function initial(shapes, schema, random) {
  const hashed = (row) =>
    schema.blocks.some((b) => b.kind === 'weighted' && row >= b.offset && row < b.offset + b.width);
  return Float32Array.from(
    shapes.flatMap((shape, i) =>
      Array.from({ length: size(shape) }, (_, k) => {
        if (i === 2) return 1;
        if (shape.length === 1) return 0;
        const deviation =
          i === 0 && hashed(Math.trunc(k / shape[1])) ? 0.05 : Math.sqrt((i === 0 ? 2 : 1) / shape[0]);
        return random.normal() * deviation;
      }),
    ),
  );
}

/** One AdamW step as a graph, the loss that ships summed over the network's vectors. */
function stepModel(network, schema, normalisation, batch, classes) {
  const graph = new GraphBuilder();
  const shapes = [...network.shapes, [classes, 32]];
  const count = shapes.reduce((sum, shape) => sum + size(shape), 0);
  const input = (name, shape) => graph.input(name, shape);
  const features = input('features', [batch, schema.dimensions]);
  const inputMask = input('inputMask', [batch, schema.dimensions]);
  const hiddenMask = input('hiddenMask', [batch, HIDDEN]);
  const pairs = input('pairs', [batch, batch]);
  const barred = input('barred', [batch, batch]);
  const labels = input('classes', [batch, classes]);
  const flat = input('parameters', [count]);
  const parameters = graph.split(flat, shapes);
  const x = graph.mul(normalised(graph, features, normalisation), inputMask);
  const proxies = graph.unitRows(parameters.at(-1));
  let loss;
  for (const z of network.vectors(graph, x, parameters, hiddenMask)) {
    const alike = graph.mul(graph.matmul(z, z, { transB: true }), graph.scalar(1 / TEMPERATURE));
    const near = graph.mul(graph.matmul(z, proxies, { transB: true }), graph.scalar(PROXY.scale));
    const one = graph.add(
      graph.softCrossEntropy(graph.add(alike, barred), pairs),
      graph.mul(graph.softCrossEntropy(near, labels), graph.scalar(PROXY.weight)),
    );
    loss = loss ? graph.add(loss, one) : one;
  }
  const gradient = graph.concatFlat(graph.gradients(loss, parameters));
  const [moment1, moment2] = ['moment1', 'moment2'].map((name) => input(name, [count]));
  const rate = input('rate', []);
  const next1 = graph.add(graph.mul(moment1, graph.scalar(0.9)), graph.mul(gradient, graph.scalar(0.1)));
  const square = graph.mul(gradient, gradient);
  const next2 = graph.add(graph.mul(moment2, graph.scalar(0.999)), graph.mul(square, graph.scalar(0.001)));
  const matrices = Float32Array.from(shapes.flatMap((s) => new Array(size(s)).fill(s.length === 2 ? 1 : 0)));
  const kept = graph.sub(graph.scalar(1), graph.mul(input('decay', []), graph.constant(matrices, [count])));
  const step = graph.div(graph.mul(next1, rate), graph.add(graph.sqrt(next2), graph.scalar(1e-8)));
  graph.output('next', graph.sub(graph.mul(flat, kept), step));
  graph.output('next1', next1);
  graph.output('next2', next2);
  return { bytes: graph.toModel('step'), shapes, count };
}

async function learn(network, schema, normalisation, sampler, seed) {
  const random = new Random(seed);
  const { batch, classes } = sampler;
  const { bytes, shapes, count } = stepModel(network, schema, normalisation, batch, classes);
  const session = await InferenceSession.create(bytes, ORT);
  let parameters = initial(shapes, schema, random);
  let [moment1, moment2] = [new Float32Array(count), new Float32Array(count)];
  const hiddenMask = new Float32Array(batch * HIDDEN);
  const tensor = (data, shape = [data.length]) => new Tensor('float32', data, shape);
  const scalar = (value) => tensor(Float32Array.of(value), []);
  for (let step = 1; step <= STEPS; step += 1) {
    const drawn = sampler.draw(random);
    random.dropout(hiddenMask, HIDDEN_DROPOUT);
    const rate = RATE * 0.5 * (1 + Math.cos((Math.PI * (step - 1)) / STEPS));
    const out = await session.run({
      features: tensor(drawn.features, [batch, schema.dimensions]),
      inputMask: tensor(drawn.inputMask, [batch, schema.dimensions]),
      hiddenMask: tensor(hiddenMask, [batch, HIDDEN]),
      pairs: tensor(drawn.pairs, [batch, batch]),
      barred: tensor(drawn.barred, [batch, batch]),
      classes: tensor(drawn.classes, [batch, classes]),
      parameters: tensor(parameters),
      moment1: tensor(moment1),
      moment2: tensor(moment2),
      rate: scalar((rate * Math.sqrt(1 - 0.999 ** step)) / (1 - 0.9 ** step)),
      decay: scalar(rate * DECAY),
    });
    [parameters, moment1, moment2] = [out.next.data, out.next1.data, out.next2.data];
  }
  await session.release();
  return parameters;
}

/** Vectors of rows, some columns withheld: those of the network's last output then. */
async function embed(network, parameters, normalisation, rows, withheld) {
  const graph = new GraphBuilder();
  let at = 0;
  const values = network.shapes.map((shape) => {
    const data = parameters.slice(at, at + size(shape));
    at += data.length;
    return graph.constant(data, shape);
  });
  let x = normalised(graph, graph.input('features', [rows.rows, rows.columns]), normalisation);
  if (withheld) {
    const mask = new Float32Array(rows.columns).fill(1).fill(0, ...withheld);
    x = graph.mul(x, graph.constant(mask, [rows.columns]));
  }
  const vectors = network.vectors(graph, x, values);
  graph.output('vectors', withheld ? vectors.at(-1) : vectors[0]);
  const session = await InferenceSession.create(graph.toModel('encoder'), ORT);
  const out = await session.run({ features: new Tensor('float32', rows.data, [rows.rows, rows.columns]) });
  await session.release();
  return { data: out.vectors.data, rows: rows.rows, columns: 32 };
}

const dataset = await loadDataset({
  directory: flags.captures,
  labels: readLabels(flags.labels),
  perCaptureAndLabel: 10,
});
const algebra = await LinearAlgebra.create();
const wanted = flags.only.split(',').filter((word) => word !== '');
const { items, capture } = prepare(dataset, (_label, captures) => captures >= 3);
const classes = [...new Set(items.labels)].sort();
const numbers = Int32Array.from(items.labels, (label) => classes.indexOf(label));
const all = (length, test) => Array.from({ length }, (_, i) => i).filter(test);

/** Accuracy and macro-F1 of one variant, all inputs and a part withheld. */
async function judge({ features, network: make }, seed) {
  const schema = featureSchema(features);
  const [wide, narrow] = [items.features, dataset.features].map((m) => prefixColumns(m, schema.dimensions));
  const withheld = columnsOf(schema, features === 'port+bytes' ? 'bytes' : 'port');
  const foldOf = stratifiedGroupFolds(
    capture,
    numbers,
    dataset.captures.length,
    classes.length,
    FOLDS,
    new Random(seed),
  );
  const truth = [];
  const told = { whole: [], less: [], raw: [] };
  const started = performance.now();
  for (let fold = 0; fold < FOLDS; fold += 1) {
    const gallery = all(items.labels.length, (i) => foldOf[capture[i]] !== fold);
    const query = all(items.labels.length, (i) => foldOf[capture[i]] === fold);
    const extra = all(dataset.capture.length, (row) => foldOf[dataset.capture[row]] !== fold);
    const [a, b] = [takeRows(wide, gallery), takeRows(narrow, extra)];
    const stacked = {
      data: new Float32Array(a.data.length + b.data.length),
      rows: a.rows + b.rows,
      columns: a.columns,
    };
    stacked.data.set(a.data);
    stacked.data.set(b.data, a.data.length);
    const behind = (keys) => Int32Array.from([...gallery.map(() => -1), ...extra.map((row) => keys[row])]);
    const sampler = new MixedSampler({
      features: stacked,
      labels: Int32Array.from([...gallery.map((i) => numbers[i]), ...extra.map(() => -1)]),
      classes: classes.length,
      labelled: 256,
      weak: 128,
      weakKeys: { endpoint: behind(dataset.weakKeys.endpoint), port: behind(dataset.weakKeys.port) },
      inputDropout: 0.3,
      portColumns: columnsOf(schema, 'port'),
      byteColumns: columnsOf(schema, 'bytes'),
      dropPort: 0.1,
      onlyPort: 0.3,
      dropBytes: 0.2,
    });
    const normalisation = fitNormalisation(stacked, schema);
    const network = make(schema);
    const parameters = await learn(network, schema, normalisation, sampler, seed + fold);
    const names = gallery.map((i) => items.labels[i]);
    const asked = takeRows(wide, query);
    const ask = async (of) => nearestLabels(algebra, await of(a), names, await of(asked));
    truth.push(...query.map((i) => items.labels[i]));
    told.whole.push(...(await ask((rows) => embed(network, parameters, normalisation, rows))));
    told.less.push(...(await ask((rows) => embed(network, parameters, normalisation, rows, withheld))));
    told.raw.push(...(await ask(async (rows) => normalise(rows, normalisation))));
  }
  const seconds = (performance.now() - started) / 1000 / FOLDS;
  return { ...Object.fromEntries(Object.entries(told).map(([k, v]) => [k, scores(truth, v)])), seconds };
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const seeds = flags.seeds.split(',').map(Number);
console.log(
  `${items.labels.length} flows, ${classes.length} classes, ${FOLDS} folds by capture, seeds ${seeds.join(', ')}. kNN1 accuracy / macro-F1, mean.\n`,
);
console.log(
  '| network | all inputs | port (bytes: bytes) withheld | raw, all inputs | s a fold |\n|---|---|---|---|---|',
);
for (const [name, variant] of Object.entries(VARIANTS)) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
  const figures = [];
  for (const seed of seeds) figures.push(await judge(variant, seed));
  const cell = (k) =>
    `${mean(figures.map((f) => f[k].accuracy)).toFixed(3)} / ${mean(figures.map((f) => f[k].macroF1)).toFixed(3)}`;
  console.log(
    `| ${name} | ${cell('whole')} | ${cell('less')} | ${cell('raw')} | ${mean(figures.map((f) => f.seconds)).toFixed(1)} |`,
  );
}
await algebra.release();
