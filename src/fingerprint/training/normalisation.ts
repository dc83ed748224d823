import { FEATURE_CLIP, type FeatureSchema } from '../features/schema.js';

/** x ↦ clip((x − mean)·scale, ±4), fitted on training data only; it becomes the first nodes of the model. */
export interface Normalisation {
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

/** A matrix of `rows` × `columns` numbers, row by row. */
export interface Matrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** Keeps a nearly constant input from being blown up to full size by its own rarity. */
const LEAST_DEVIATION = 0.02;

const moments = (matrix: Matrix, column: number): { mean: number; deviation: number } => {
  const { data, rows, columns } = matrix;
  let sum = 0;
  let squares = 0;
  for (let row = 0; row < rows; row += 1) {
    const value = data[row * columns + column]!;
    sum += value;
    squares += value * value;
  }
  const mean = sum / rows;
  return { mean, deviation: Math.sqrt(Math.max(0, squares / rows - mean * mean)) };
};

/** Dense blocks are z-scored, weighted blocks only multiplied. */
export function fitNormalisation(matrix: Matrix, schema: FeatureSchema): Normalisation {
  const mean = new Float32Array(schema.dimensions);
  const scale = new Float32Array(schema.dimensions);
  for (const block of schema.blocks)
    for (let column = block.offset; column < block.offset + block.width; column += 1) {
      if (block.kind === 'weighted') {
        scale[column] = block.weight;
        continue;
      }
      const of = moments(matrix, column);
      mean[column] = of.mean;
      scale[column] = of.deviation === 0 ? 0 : 1 / Math.max(of.deviation, LEAST_DEVIATION);
    }
  return { mean, scale };
}

/** z-score of every column with `soften` added to each deviation. */
export function fitPlain(matrix: Matrix, soften: number): Normalisation {
  const mean = new Float32Array(matrix.columns);
  const scale = new Float32Array(matrix.columns);
  for (let column = 0; column < matrix.columns; column += 1) {
    const of = moments(matrix, column);
    mean[column] = of.mean;
    scale[column] = of.deviation === 0 ? 0 : 1 / (of.deviation + soften);
  }
  return { mean, scale };
}

/** The matrix as the network sees it. */
export function normalise(matrix: Matrix, by: Normalisation, bound = FEATURE_CLIP): Matrix {
  const { data, rows, columns } = matrix;
  const out = new Float32Array(rows * columns);
  for (let row = 0, at = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1, at += 1) {
      const value = (data[at]! - by.mean[column]!) * by.scale[column]!;
      out[at] = Math.max(-bound, Math.min(bound, value));
    }
  return { data: out, rows, columns };
}

/** The rows with these numbers, in this order. */
export function takeRows(matrix: Matrix, rows: ArrayLike<number>): Matrix {
  const { data, columns } = matrix;
  const out = new Float32Array(rows.length * columns);
  for (let i = 0; i < rows.length; i += 1)
    out.set(data.subarray(rows[i]! * columns, (rows[i]! + 1) * columns), i * columns);
  return { data: out, rows: rows.length, columns };
}
