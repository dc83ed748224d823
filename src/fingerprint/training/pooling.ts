import type { Matrix } from './normalisation.js';

const LOG_SCALE = 6;

/**
 * One row a group: [mean | maximum | minimum | log(1 + n) / 6] of its members' features, 3·D + 1 columns.
 * @param groups groups in all; one without members gives zeros
 */
export function poolRows(matrix: Matrix, groupOf: ArrayLike<number>, groups: number): Matrix {
  const { data, rows, columns } = matrix;
  const width = 3 * columns + 1;
  const out = new Float32Array(groups * width);
  const counts = new Int32Array(groups);
  for (let row = 0; row < rows; row += 1) {
    const base = groupOf[row]! * width;
    const first = counts[groupOf[row]!] === 0;
    counts[groupOf[row]!]! += 1;
    for (let column = 0; column < columns; column += 1) {
      const value = data[row * columns + column]!;
      out[base + column]! += value;
      if (first || value > out[base + columns + column]!) out[base + columns + column] = value;
      if (first || value < out[base + 2 * columns + column]!) out[base + 2 * columns + column] = value;
    }
  }
  for (let group = 0; group < groups; group += 1) {
    const base = group * width;
    const count = counts[group]!;
    if (count > 0) for (let column = 0; column < columns; column += 1) out[base + column]! /= count;
    out[base + width - 1] = Math.log1p(count) / LOG_SCALE;
  }
  return { data: out, rows: groups, columns: width };
}

/** The first `columns` columns. */
export function prefixColumns(matrix: Matrix, columns: number): Matrix {
  const out = new Float32Array(matrix.rows * columns);
  for (let row = 0; row < matrix.rows; row += 1)
    out.set(matrix.data.subarray(row * matrix.columns, row * matrix.columns + columns), row * columns);
  return { data: out, rows: matrix.rows, columns };
}

/** Chosen columns, in order. */
export function selectColumns(matrix: Matrix, columns: readonly number[]): Matrix {
  const out = new Float32Array(matrix.rows * columns.length);
  for (let row = 0; row < matrix.rows; row += 1)
    columns.forEach((column, i) => {
      out[row * columns.length + i] = matrix.data[row * matrix.columns + column]!;
    });
  return { data: out, rows: matrix.rows, columns: columns.length };
}
