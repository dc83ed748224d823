/** What one past forecast turned out to be worth in one bucket of its horizon. */
export interface BucketRecord {
  /** Time of the first step that was forecast; any ascending number, milliseconds since 1970 where it is stored. */
  readonly origin: number;
  readonly members: readonly string[];
  /** Mean absolute error by member. */
  readonly errors: readonly number[];
  /** Of the combined forecast. */
  readonly meanAbsolute: number;
  /** Mean of |actual|: what the errors are compared with by people. */
  readonly meanActual: number;
  /** A digest of its errors in units of their scale then, see {@link digestOf}. */
  readonly standardised: readonly number[];
  /** Errors that the digest stands for. */
  readonly count: number;
  /** Share of the values above each quantile. */
  readonly missed: readonly number[];
  /** The bands' widening after this origin, by quantile. */
  readonly widening: readonly number[];
}

/** By bucket of the horizon, newest first. */
export type TrackRecord = readonly (readonly BucketRecord[])[];

/** By name of the part of the horizon, newest first: the form in which records are kept between forecasts. */
export type NamedRecord = ReadonlyMap<string, readonly BucketRecord[]>;

const TOP = 6;
const GROUPS = 18;

/** At most 24 ascending values that stand for many: the top ones each for itself, the others by medians of equal groups. */
export function digestOf(errors: readonly number[]): number[] {
  const sorted = Float64Array.from(errors).sort();
  if (sorted.length <= TOP + GROUPS) return [...sorted];
  const rest = sorted.length - TOP;
  return [
    ...Array.from({ length: GROUPS }, (_, g) => sorted[Math.floor(((g + 0.5) * rest) / GROUPS)]!),
    ...sorted.subarray(rest),
  ];
}

/** Share of the digested errors at or below a value. */
export function shareAtMost(record: BucketRecord, value: number): number {
  const { standardised, count } = record;
  let below = 0;
  let high = standardised.length;
  while (below < high) {
    const middle = (below + high) >> 1;
    if (standardised[middle]! <= value) below = middle + 1;
    else high = middle;
  }
  if (standardised.length === count) return below / count;
  const rest = count - TOP;
  return below <= GROUPS ? ((below / GROUPS) * rest) / count : (rest + below - GROUPS) / count;
}
