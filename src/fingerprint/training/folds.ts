import type { Random } from './random.js';

/**
 * Assigns groups (captures) to folds so that every class is spread as evenly as it can be: large, uneven groups
 * first, each to the fold where the class shares stay most equal (the greedy rule of stratified group k-fold).
 *
 * @param groupOf group of each item
 * @param classOf class of each item
 * @returns fold of each group
 */
export function stratifiedGroupFolds(
  groupOf: ArrayLike<number>,
  classOf: ArrayLike<number>,
  groups: number,
  classes: number,
  folds: number,
  random: Random,
): Int32Array {
  const counts = Array.from({ length: groups }, () => new Float64Array(classes));
  const totals = new Float64Array(classes);
  for (let i = 0; i < groupOf.length; i += 1) {
    counts[groupOf[i]!]![classOf[i]!]! += 1;
    totals[classOf[i]!]! += 1;
  }
  const spread = counts.map((of) => deviation(of));
  const order = random.shuffle(Array.from({ length: groups }, (_, group) => group));
  order.sort((a, b) => spread[b]! - spread[a]!);
  const inFold = Array.from({ length: folds }, () => new Float64Array(classes));
  const sizes = new Float64Array(folds);
  const foldOf = new Int32Array(groups);
  const shares = new Float64Array(folds);
  for (const group of order) {
    let best = 0;
    let bestCost = Number.POSITIVE_INFINITY;
    for (let fold = 0; fold < folds; fold += 1) {
      let cost = 0;
      for (let c = 0; c < classes; c += 1) {
        for (let f = 0; f < folds; f += 1)
          shares[f] = (inFold[f]![c]! + (f === fold ? counts[group]![c]! : 0)) / Math.max(1, totals[c]!);
        cost += deviation(shares);
      }
      cost /= classes;
      const better = cost < bestCost - 1e-12 || (cost < bestCost + 1e-12 && sizes[fold]! < sizes[best]!);
      if (!better) continue;
      best = fold;
      bestCost = Math.min(cost, bestCost);
    }
    foldOf[group] = best;
    for (let c = 0; c < classes; c += 1) {
      inFold[best]![c]! += counts[group]![c]!;
      sizes[best]! += counts[group]![c]!;
    }
  }
  return foldOf;
}

function deviation(values: Float64Array): number {
  let mean = 0;
  for (const value of values) mean += value / values.length;
  let square = 0;
  for (const value of values) square += (value - mean) ** 2 / values.length;
  return Math.sqrt(square);
}
