/** Share of right answers, and the mean over classes of the harmonic mean of precision and recall. */
export interface Scores {
  readonly accuracy: number;
  readonly macroF1: number;
}

/**
 * @param leastCount classes with fewer true items are left out of the mean
 */
export function scores(truth: readonly string[], predicted: readonly string[], leastCount = 1): Scores {
  const hits = new Map<string, number>();
  const actual = new Map<string, number>();
  const claimed = new Map<string, number>();
  const count = (map: Map<string, number>, key: string): void => {
    map.set(key, (map.get(key) ?? 0) + 1);
  };
  let right = 0;
  truth.forEach((label, i) => {
    count(actual, label);
    count(claimed, predicted[i]!);
    if (label !== predicted[i]) return;
    count(hits, label);
    right += 1;
  });
  const classes = [...actual].filter(([, n]) => n >= leastCount);
  let sum = 0;
  for (const [label, n] of classes) sum += (2 * (hits.get(label) ?? 0)) / (n + (claimed.get(label) ?? 0));
  return { accuracy: right / Math.max(1, truth.length), macroF1: sum / Math.max(1, classes.length) };
}

/** Normalised mutual information (arithmetic mean) and purity of clusters against classes. */
export function clusterScores(
  truth: readonly string[],
  clusters: ArrayLike<number>,
): { readonly nmi: number; readonly purity: number } {
  const n = truth.length;
  const joint = new Map<string, number>();
  const byClass = new Map<string, number>();
  const byCluster = new Map<number, number>();
  const best = new Map<number, number>();
  truth.forEach((label, i) => {
    const cluster = clusters[i]!;
    const key = `${cluster} ${label}`;
    const together = (joint.get(key) ?? 0) + 1;
    joint.set(key, together);
    byClass.set(label, (byClass.get(label) ?? 0) + 1);
    byCluster.set(cluster, (byCluster.get(cluster) ?? 0) + 1);
    best.set(cluster, Math.max(best.get(cluster) ?? 0, together));
  });
  const entropy = (counts: Iterable<number>): number => {
    let sum = 0;
    for (const count of counts) sum -= (count / n) * Math.log(count / n);
    return sum;
  };
  const classEntropy = entropy(byClass.values());
  const clusterEntropy = entropy(byCluster.values());
  const information = classEntropy + clusterEntropy - entropy(joint.values());
  const mean = (classEntropy + clusterEntropy) / 2;
  const pure = [...best.values()].reduce((sum, count) => sum + count, 0);
  return { nmi: mean === 0 ? 1 : information / mean, purity: pure / Math.max(1, n) };
}
