import type { Forecast } from '../forecast/index.js';
import type { Period, WorkloadDemand } from '../plan/index.js';
import type { LinkUsage } from './usage-history.js';

/** What is known of a workload besides its forecasts. */
export interface WorkloadFacts {
  readonly workloadId: number;
  readonly name: string;
  /** Its rate over the last steps, bit/s, the larger direction: a plan never provides less. */
  readonly currentBps: number;
  /** Link → share of its recent octets. */
  readonly shares: Readonly<Record<string, number>>;
}

/** Steps that tell what a workload does now. */
const CURRENT_STEPS = 5;
const lastMean = (values: Float64Array): number => {
  const recent = values.subarray(Math.max(0, values.length - CURRENT_STEPS));
  return recent.reduce((sum, value) => sum + value, 0) / Math.max(1, recent.length);
};

/** What the last steps of a workload's usage by link tell of it. */
export function factsOf(workloadId: number, name: string, links: readonly LinkUsage[]): WorkloadFacts {
  const rates = links.map((u) => ({
    linkId: u.linkId,
    bps: lastMean(u.outBps.values) + lastMean(u.inBps.values),
  }));
  const total = rates.reduce((sum, rate) => sum + rate.bps, 0);
  const current = Math.max(
    links.reduce((sum, u) => sum + lastMean(u.outBps.values), 0),
    links.reduce((sum, u) => sum + lastMean(u.inBps.values), 0),
  );
  const shares = Object.fromEntries(
    rates.map((rate) => [rate.linkId, total > 0 ? rate.bps / total : 1 / rates.length]),
  );
  return { workloadId, name, currentBps: current, shares };
}

/** No period is longer than such a part of the horizon: enough to follow a day, few enough to solve in well under a second. */
const LONGEST_PARTS = 12;
/** How much longer each period is than the one before. */
const GROWTH = 1.25;

/**
 * Cuts a horizon into periods that are whole steps long: the first as long as capacity takes to come, the next ones
 * growing, since what is far away is planned again before it comes.
 *
 * @param firstSteps steps of the first period; no more than an equal part of the horizon
 */
export function periodsOf(startMs: number, stepMs: number, steps: number, firstSteps = 1): Period[] {
  const longest = Math.max(1, Math.ceil(steps / LONGEST_PARTS));
  const periods: Period[] = [];
  let length = Math.max(1, Math.min(longest, firstSteps));
  for (let first = 0; first < steps; ) {
    const count = Math.min(length, steps - first);
    periods.push({ startMs: startMs + first * stepMs, durationMs: count * stepMs });
    first += count;
    length = Math.min(longest, Math.max(length + 1, Math.round(length * GROWTH)));
  }
  return periods;
}

/** One value a period out of a path over the horizon. */
function perPeriod(
  path: Float64Array,
  periods: readonly Period[],
  startMs: number,
  stepMs: number,
  reduce: (values: Float64Array) => number,
): number[] {
  return periods.map((period) => {
    const from = Math.round((period.startMs - startMs) / stepMs);
    return reduce(path.subarray(from, from + Math.round(period.durationMs / stepMs)));
  });
}

const mean = (values: Float64Array): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
const maximum = (values: Float64Array): number => values.reduce((top, value) => Math.max(top, value), 0);

const pathAt = (forecast: Forecast, q: number): Float64Array =>
  forecast.quantiles.find((path) => path.q >= q)?.values ??
  forecast.quantiles.at(-1)?.values ??
  forecast.median;

/**
 * A workload's demand for the planner: billed by the expected rate outwards, sized by a high quantile of the busier
 * direction and never below what it uses now. CPU and memory are sized by the same quantile.
 */
export function demandOf(
  facts: WorkloadFacts,
  out: Forecast,
  inbound: Forecast | undefined,
  resources: { readonly cpu: Forecast; readonly memory: Forecast },
  periods: readonly Period[],
  sizingQuantile: number,
): WorkloadDemand {
  const { startMs, stepMs } = out;
  const medianBps = perPeriod(out.median, periods, startMs, stepMs, mean);
  const sized = [out, ...(inbound ? [inbound] : [])].map((forecast) =>
    perPeriod(pathAt(forecast, sizingQuantile), periods, startMs, stepMs, maximum),
  );
  const peakBps = medianBps.map((median, t) =>
    Math.max(median, ...sized.map((row) => row[t] ?? 0), t === 0 ? facts.currentBps : 0),
  );
  const sizedBy = (forecast: Forecast): number[] =>
    perPeriod(pathAt(forecast, sizingQuantile), periods, startMs, stepMs, maximum);
  return {
    workloadId: facts.workloadId,
    name: facts.name,
    medianBps,
    peakBps,
    cpuCores: sizedBy(resources.cpu),
    memoryBytes: sizedBy(resources.memory),
    currentShares: facts.shares,
  };
}
