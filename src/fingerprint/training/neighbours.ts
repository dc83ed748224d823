import { type LinearAlgebra, unitRows } from './linear-algebra.js';
import type { Matrix } from './normalisation.js';

/** For each query row, the label of the gallery row with the largest cosine; ties go to the earlier row. */
export async function nearestLabels(
  algebra: LinearAlgebra,
  gallery: Matrix,
  galleryLabels: readonly string[],
  query: Matrix,
): Promise<string[]> {
  const similarity = await algebra.timesTransposed(unitRows(query), unitRows(gallery));
  const { data, rows, columns } = similarity;
  return Array.from({ length: rows }, (_, i) => {
    let best = 0;
    for (let j = 1; j < columns; j += 1) if (data[i * columns + j]! > data[i * columns + best]!) best = j;
    return galleryLabels[best]!;
  });
}

/**
 * Agglomerative clustering with average linkage on cosine distance, cut at `clusters`: nearest-neighbour chain
 * (Murtagh 1983), the dendrogram cut afterwards. @returns cluster of each row
 */
export async function averageLinkage(
  algebra: LinearAlgebra,
  rows: Matrix,
  clusters: number,
): Promise<Int32Array> {
  const n = rows.rows;
  const units = unitRows(rows);
  const distance = Float64Array.from((await algebra.timesTransposed(units, units)).data, (s) => 1 - s);
  const size = new Float64Array(n).fill(1);
  const active = new Uint8Array(n).fill(1);
  const merges: { readonly a: number; readonly b: number; readonly at: number }[] = [];
  const chain: number[] = [];
  while (merges.length < n - 1) {
    if (chain.length === 0) chain.push(active.indexOf(1));
    const top = chain.at(-1)!;
    const previous = chain.at(-2);
    let nearest = previous ?? -1;
    let least = previous === undefined ? Number.POSITIVE_INFINITY : distance[top * n + previous]!;
    for (let j = 0; j < n; j += 1) {
      if (active[j] === 0 || j === top || distance[top * n + j]! >= least) continue;
      nearest = j;
      least = distance[top * n + j]!;
    }
    if (nearest !== previous) {
      chain.push(nearest);
      continue;
    }
    chain.length -= 2;
    merges.push({ a: top, b: nearest, at: least });
    const total = size[top]! + size[nearest]!;
    for (let j = 0; j < n; j += 1) {
      if (active[j] === 0 || j === top || j === nearest) continue;
      const mean =
        (size[top]! * distance[top * n + j]! + size[nearest]! * distance[nearest * n + j]!) / total;
      distance[nearest * n + j] = mean;
      distance[j * n + nearest] = mean;
    }
    active[top] = 0;
    size[nearest] = total;
  }
  return cut(n, merges, clusters);
}

function cut(
  n: number,
  merges: readonly { readonly a: number; readonly b: number; readonly at: number }[],
  clusters: number,
): Int32Array {
  const parent = Int32Array.from({ length: n }, (_, i) => i);
  const root = (i: number): number => {
    let at = i;
    while (parent[at] !== at) at = parent[at]!;
    return at;
  };
  const ordered = merges
    .map((merge, order) => ({ ...merge, order }))
    .sort((x, y) => x.at - y.at || x.order - y.order);
  for (const merge of ordered.slice(0, Math.max(0, n - clusters))) parent[root(merge.a)] = root(merge.b);
  return Int32Array.from({ length: n }, (_, i) => root(i));
}
