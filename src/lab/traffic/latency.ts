/** Buckets grow by 10 %: bucket i holds latencies below 0.05 ms × 1.1^i; the last one everything above. */
export const LATENCY_BUCKETS = 160;
const FIRST_MS = 0.05;
const LOG_STEP = Math.log(1.1);

/** Mergeable histogram of latencies, good to ±5 %. */
export const latencyBucket = (ms: number): number =>
  Math.min(LATENCY_BUCKETS - 1, Math.max(0, Math.ceil(Math.log(ms / FIRST_MS) / LOG_STEP)));

/** The latency in ms below which `quantile` of the counted ones are; 0 of none. */
export function latencyQuantileMs(counts: readonly number[], quantile: number): number {
  const total = counts.reduce((sum, n) => sum + n, 0);
  let left = total * quantile;
  for (let i = 0; i < counts.length; i += 1) {
    left -= counts[i] ?? 0;
    if (left <= 0 && total > 0) return FIRST_MS * 1.1 ** i;
  }
  return 0;
}
