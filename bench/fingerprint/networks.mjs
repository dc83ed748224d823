// Networks that `variants.mjs` compares with the one that ships. Each reads a row of features and gives unit vectors of
// 32 numbers; sequences are the first eight payload sizes (block `payloads`: signed logarithms).
// The graph builder has no exp: gates and attention weights are algebraic, x / sqrt(1 + x²) for tanh and
// x + sqrt(1 + x²) for exp; both are monotone and smooth.

const HIDDEN = 256;
const OUTPUTS = 32;
const STEPS = 8;
const WIDTH = 16;

/** [D, columns.length]: takes these columns out of a row. */
function selection(graph, inputs, columns) {
  const data = new Float32Array(inputs * columns.length);
  columns.forEach((column, i) => {
    if (column >= 0) data[column * columns.length + i] = 1;
  });
  return graph.constant(data, [inputs, columns.length]);
}

const root = (graph, x) => graph.sqrt(graph.add(graph.mul(x, x), graph.scalar(1)));
const tanh = (graph, x) => graph.div(x, root(graph, x));
const sigmoid = (graph, x) => graph.mul(graph.add(tanh(graph, x), graph.scalar(1)), graph.scalar(0.5));
const positive = (graph, x) => graph.add(x, root(graph, x));

/** Parameters by name, in order: `shapes` for the flat vector, `of(name, values)` to find one again. */
class Parameters {
  shapes = [];
  #names = [];

  add(name, shape) {
    this.#names.push(name);
    this.shapes.push(shape);
    return this;
  }

  of(values) {
    return (name) => values[this.#names.indexOf(name)];
  }
}

const base = (inputs, outputs = 1) => {
  const parameters = new Parameters()
    .add('weights', [inputs, HIDDEN])
    .add('bias', [HIDDEN])
    .add('gain', [HIDDEN])
    .add('shift', [HIDDEN]);
  for (let k = 0; k < outputs; k += 1)
    parameters.add(`out${k}`, [HIDDEN, OUTPUTS]).add(`outBias${k}`, [OUTPUTS]);
  return parameters;
};

/** The hidden layer, to which a summary of the sequence may add. */
function hidden(graph, x, p, mask, extra) {
  let linear = graph.matmul(x, p('weights'), { bias: p('bias') });
  if (extra) linear = graph.add(linear, extra);
  const active = graph.relu(graph.layerNorm(linear, p('gain'), p('shift')));
  return mask ? graph.mul(active, mask) : active;
}

const vector = (graph, h, p, k = 0) =>
  graph.unitRows(graph.matmul(h, p(`out${k}`), { bias: p(`outBias${k}`) }));

const payloadColumns = (schema) => {
  const { offset } = schema.blocks.find((block) => block.name === 'payloads');
  return Array.from({ length: STEPS }, (_, i) => offset + i);
};

/** What ships: one hidden layer. */
const plain = (schema) => {
  const parameters = base(schema.dimensions);
  return {
    shapes: parameters.shapes,
    vectors: (graph, x, values, mask) => [
      vector(graph, hidden(graph, x, parameters.of(values), mask), parameters.of(values)),
    ],
  };
};

/** Each payload becomes a token; a learned query weighs them. */
const attention = (schema) => {
  const columns = payloadColumns(schema);
  const parameters = base(schema.dimensions)
    .add('token', [1, WIDTH])
    .add('place', [STEPS, WIDTH])
    .add('query', [WIDTH, 1])
    .add('summary', [WIDTH, HIDDEN]);
  return {
    shapes: parameters.shapes,
    vectors: (graph, x, values, mask) => {
      const p = parameters.of(values);
      let sum;
      let weights;
      columns.forEach((column, i) => {
        const place = graph.matmul(selection(graph, STEPS, [i]), p('place'), { transA: true });
        const size = graph.matmul(x, selection(graph, schema.dimensions, [column]));
        const token = graph.relu(graph.add(graph.matmul(size, p('token')), place));
        const weight = positive(graph, graph.matmul(token, p('query')));
        const weighed = graph.mul(token, weight);
        sum = sum ? graph.add(sum, weighed) : weighed;
        weights = weights ? graph.add(weights, weight) : weight;
      });
      const pooled = graph.div(sum, weights);
      return [vector(graph, hidden(graph, x, p, mask, graph.matmul(pooled, p('summary'))), p)];
    },
  };
};

/** A window of three payloads slides over the eight; the responses are averaged, and the last two kept in place. */
const convolution = (schema) => {
  const columns = payloadColumns(schema);
  const parameters = base(schema.dimensions)
    .add('kernel', [3, WIDTH])
    .add('kernelBias', [WIDTH])
    .add('summary', [WIDTH, HIDDEN])
    .add('first', [WIDTH, HIDDEN]);
  return {
    shapes: parameters.shapes,
    vectors: (graph, x, values, mask) => {
      const p = parameters.of(values);
      const responses = columns.map((_, i) => {
        const window = [i - 1, i, i + 1].map((k) => columns[k] ?? -1);
        const seen = graph.matmul(x, selection(graph, schema.dimensions, window));
        return graph.relu(graph.matmul(seen, p('kernel'), { bias: p('kernelBias') }));
      });
      const mean = graph.mul(
        responses.reduce((a, b) => graph.add(a, b)),
        graph.scalar(1 / STEPS),
      );
      const extra = graph.add(graph.matmul(mean, p('summary')), graph.matmul(responses[0], p('first')));
      return [vector(graph, hidden(graph, x, p, mask, extra), p)];
    },
  };
};

/** Gated recurrent unit (Cho et al. 2014) over the payloads in order. */
const gru = (schema) => {
  const columns = payloadColumns(schema);
  const parameters = base(schema.dimensions).add('summary', [WIDTH, HIDDEN]);
  for (const gate of ['update', 'reset', 'candidate'])
    parameters.add(`${gate}In`, [1, WIDTH]).add(`${gate}State`, [WIDTH, WIDTH]).add(`${gate}Bias`, [WIDTH]);
  return {
    shapes: parameters.shapes,
    vectors: (graph, x, values, mask) => {
      const p = parameters.of(values);
      const gate = (name, input, state) => {
        const linear = graph.matmul(input, p(`${name}In`), { bias: p(`${name}Bias`) });
        return state ? graph.add(linear, graph.matmul(state, p(`${name}State`))) : linear;
      };
      let state;
      for (const column of columns) {
        const size = graph.matmul(x, selection(graph, schema.dimensions, [column]));
        const update = sigmoid(graph, gate('update', size, state));
        const kept = state && graph.mul(sigmoid(graph, gate('reset', size, state)), state);
        const candidate = graph.mul(update, tanh(graph, gate('candidate', size, kept)));
        state = state
          ? graph.add(candidate, graph.mul(graph.sub(graph.scalar(1), update), state))
          : candidate;
      }
      return [vector(graph, hidden(graph, x, p, mask, graph.matmul(state, p('summary'))), p)];
    },
  };
};

/** One hidden layer, two vectors: one of the whole row, one made as if there were no port. */
const twoOutputs = (schema) => {
  const parameters = base(schema.dimensions, 2);
  const without = new Float32Array(schema.dimensions).fill(1);
  for (const block of schema.blocks)
    if (block.part === 'port') without.fill(0, block.offset, block.offset + block.width);
  return {
    shapes: parameters.shapes,
    vectors: (graph, x, values, mask) => {
      const p = parameters.of(values);
      const blind = graph.mul(x, graph.constant(without, [schema.dimensions]));
      return [
        vector(graph, hidden(graph, x, p, mask), p),
        vector(graph, hidden(graph, blind, p, mask), p, 1),
      ];
    },
  };
};

/** Name → schema and network. */
export const VARIANTS = {
  'one hidden layer (ships)': { features: 'port', network: plain },
  'attention over payloads': { features: 'port', network: attention },
  'convolution over payloads': { features: 'port', network: convolution },
  'GRU over payloads': { features: 'port', network: gru },
  'two outputs, with and without port': { features: 'port', network: twoOutputs },
  'bytes in the same net': { features: 'port+bytes', network: plain },
};
