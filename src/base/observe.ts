/** What is measured while it happens; durations in seconds, sizes in rows. Names are those of the metrics. */
export type Observed =
  | 'infer_duration_seconds'
  | 'batch_rows'
  | 'store_insert_duration_seconds'
  | 'forecast_duration_seconds'
  | 'plan_duration_seconds'
  | 'actuation_duration_seconds';

/** Takes one measurement. */
export type Observe = (what: Observed, value: number) => void;

/** Does work and says how long it took, whether it succeeded or not. */
export async function timed<T>(
  observe: Observe | undefined,
  what: Observed,
  work: () => Promise<T>,
): Promise<T> {
  const started = performance.now();
  try {
    return await work();
  } finally {
    observe?.(what, (performance.now() - started) / 1000);
  }
}
