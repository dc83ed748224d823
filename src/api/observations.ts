import { Histogram } from 'prom-client';
import type { Observe, Observed } from '../base/observe.js';

const SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
const ROWS = [1, 4, 16, 64, 256, 1024];

/** The reference page is made from this table too. */
export const OBSERVED: Readonly<
  Record<Observed, { readonly help: string; readonly buckets: readonly number[] }>
> = {
  infer_duration_seconds: {
    help: 'From a batch of flow records to its fingerprints, waiting for a worker included.',
    buckets: SECONDS,
  },
  batch_rows: { help: 'Flow records in a batch.', buckets: ROWS },
  store_insert_duration_seconds: {
    help: 'One INSERT of flow records, refused or not.',
    buckets: SECONDS,
  },
  forecast_duration_seconds: {
    help: 'One planning cycle: reading history and forecasting every series.',
    buckets: SECONDS,
  },
  plan_duration_seconds: { help: 'From forecasts to a plan.', buckets: SECONDS },
  actuation_duration_seconds: {
    help: 'Applying one plan, or one of its periods, by all actuators.',
    buckets: SECONDS,
  },
};

export const observedName = (what: Observed): string => `tidegate_${what}`;

/** Histograms of what the rooms of a gateway measure of themselves; they outlive the API that shows them. */
export class Observations {
  readonly histograms: ReadonlyMap<Observed, Histogram>;

  constructor() {
    this.histograms = new Map(
      (Object.keys(OBSERVED) as Observed[]).map((what) => [
        what,
        new Histogram({
          name: observedName(what),
          help: OBSERVED[what].help,
          buckets: [...OBSERVED[what].buckets],
          registers: [],
        }),
      ]),
    );
  }

  readonly observe: Observe = (what, value) => this.histograms.get(what)?.observe(value);
}
