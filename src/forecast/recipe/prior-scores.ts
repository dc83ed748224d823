/**
 * How members usually rank before a series has a record of its own: their mean error relative to the middle member's, in
 * the first hour, the rest of the first quarter day and the rest of a day. Means over the public traffic and cluster
 * series of docs/forecasting.md, which says what the figures are when each series is told the scores of the others only.
 */
type Scores = Readonly<Record<string, readonly [number, number, number]>>;

/** Steps of about an hour. */
const COARSE: Scores = {
  snd: [1.41, 1.23, 1.09],
  snw: [1.96, 1.83, 1.71],
  l1h: [1.0, 1.06, 1.17],
  l6h: [1.07, 1.13, 1.06],
  l1d: [1.13, 0.98, 0.96],
  l7d: [1.54, 1.41, 1.29],
  pmed7: [1.56, 1.45, 1.26],
  pw: [2.11, 1.98, 1.67],
  pwlev: [1.9, 1.7, 1.44],
  pwmed: [1.73, 1.52, 1.35],
  pmult: [1.7, 1.58, 1.48],
  arAl: [0.98, 0.97, 1.07],
  arA: [1.53, 1.46, 1.47],
  arB: [1.53, 1.42, 1.36],
  arD24: [1.72, 1.71, 1.7],
  arD168l: [1.14, 1.65, 1.78],
  dshwl: [1.19, 1.11, 1.07],
  dshw: [1.62, 1.46, 1.28],
  l6hdshwl: [1.07, 1.04, 1.04],
};

/** Steps of a few minutes. */
const FINE: Scores = {
  snd: [1.5, 1.36, 1.2],
  snw: [1.83, 1.72, 1.58],
  l1h: [0.84, 0.93, 0.95],
  l6h: [0.94, 1.0, 0.92],
  l1d: [1.01, 0.95, 0.9],
  l7d: [1.32, 1.22, 1.08],
  pw: [2.11, 1.85, 1.52],
  pwlev: [1.89, 1.65, 1.36],
  pwmed: [1.56, 1.42, 1.24],
  pmult: [1.61, 1.5, 1.38],
  arAl: [1.15, 1.02, 1.02],
  arA: [1.57, 1.4, 1.33],
  arB: [1.61, 1.39, 1.26],
  arD24: [1.61, 1.58, 1.54],
  arD168l: [1.25, 1.69, 1.69],
  dshwl: [1.24, 1.1, 1.01],
  dshw: [1.68, 1.43, 1.19],
  ar5: [1.56, 1.39, 1.31],
  ar5l: [0.83, 0.87, 0.96],
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
