/**
 * How members usually rank before a series has a record of its own: their mean error relative to the middle member's, in
 * the first hour, the rest of the first quarter day and the rest of a day. Means over the public traffic and cluster
 * series of docs/forecasting.md, as `node bench/forecast/prior-scores.mjs` prints them.
 */
type Scores = Readonly<Record<string, readonly [number, number, number]>>;

/** Steps of about an hour. */
const COARSE: Scores = {
  snd: [1.46, 1.35, 1.21],
  snw: [1.96, 1.86, 1.72],
  l1h: [1.1, 1.13, 1.22],
  l6h: [1.16, 1.15, 1.08],
  l1d: [1.18, 1.02, 0.97],
  l7d: [1.59, 1.43, 1.31],
  pmed7: [1.64, 1.55, 1.36],
  pwlev: [1.98, 1.82, 1.52],
  pwmed: [1.81, 1.7, 1.5],
  pmult: [1.82, 1.73, 1.56],
  arTl: [1.27, 1.15, 1.12],
  arAl: [1.24, 1.11, 1.17],
  arD24: [1.86, 1.83, 1.76],
  dshwl: [1.33, 1.22, 1.13],
  dshw: [1.71, 1.56, 1.34],
  l6hdshwl: [1.21, 1.13, 1.07],
  arD168l: [1.18, 1.69, 1.78],
};

/** Steps of a few minutes. */
const FINE: Scores = {
  snd: [1.49, 1.43, 1.29],
  snw: [1.84, 1.75, 1.6],
  l1h: [0.9, 0.96, 1.01],
  l6h: [1.01, 1.02, 0.95],
  l1d: [1.05, 0.96, 0.91],
  l7d: [1.34, 1.23, 1.09],
  pwlev: [1.89, 1.72, 1.44],
  pwmed: [1.62, 1.52, 1.36],
  pmult: [1.72, 1.62, 1.47],
  arAl: [1.41, 1.17, 1.14],
  arD24: [1.71, 1.65, 1.61],
  dshwl: [1.43, 1.21, 1.1],
  dshw: [1.75, 1.54, 1.3],
  ar5: [1.68, 1.5, 1.43],
  ar5l: [1.03, 0.93, 1.01],
  arD168l: [1.27, 1.76, 1.68],
};

const UNKNOWN = 1.3;
/** From so many steps a day on, steps are fine. */
const FINE_DAY = 96;

/** Score of a member in one bucket of the horizon before anything is known. */
export function priorScore(name: string, day: number, bucket: number, buckets: number): number {
  const fine = day >= FINE_DAY;
  // A horizon that ends earlier has fewer buckets; a bucket keeps its place from the front.
  const place = buckets === 1 ? 2 : Math.min(bucket, 2);
  return (fine ? FINE : COARSE)[name]?.[place] ?? (fine ? COARSE : FINE)[name]?.[place] ?? UNKNOWN;
}
