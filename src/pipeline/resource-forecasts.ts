import type { Forecast, ResourceCoefficients, SeriesHistory, Signal } from '../forecast/index.js';
import type { CpuModel, MemoryModel, ResourceModel } from '../usage/index.js';

const GBPS = 1e9;
const GIB = 2 ** 30;

/** What is told ahead of a workload's traffic; refused forecasts are left out by the caller. */
export interface TrafficForecasts {
  readonly out: Forecast;
  readonly inbound: Forecast | undefined;
  readonly flows: Forecast | undefined;
}

/** Another signal told by the traffic's forecast: value by value, level by level. */
function derived(
  of: Forecast,
  signal: Signal,
  model: string,
  value: (step: number, level: number | undefined) => number,
  relativeToSeasonalNaive: number | null,
): Forecast {
  const path = (level: number | undefined): Float64Array => of.median.map((_, step) => value(step, level));
  return {
    ...of,
    seriesId: of.seriesId.replace(/[^/]+$/, signal),
    signal,
    median: path(undefined),
    quantiles: of.quantiles.map(({ q }) => ({ q, values: path(q) })),
    mix: [{ model, weight: 1, error: null }],
    relativeToSeasonalNaive,
    coverage: { p90: null, p99: null },
    failures: [],
    notes: [],
    realised: [],
  };
}

const valueAt = (forecast: Forecast | undefined, step: number, level: number | undefined): number =>
  (level === undefined
    ? forecast?.median[step]
    : forecast?.quantiles.find(({ q }) => q >= level)?.values[step]) ?? 0;

/** The busier direction. */
const bandwidthAt = (traffic: TrafficForecasts, step: number, level: number | undefined): number =>
  Math.max(valueAt(traffic.out, step, level), valueAt(traffic.inbound, step, level));

/**
 * CPU of a workload ahead. Where it follows bandwidth, a level of CPU is the model at the same level of bandwidth and
 * flows: exact as far as they rise and fall together, else on the safe side.
 *
 * @param own the forecast of the measured series, used where bandwidth does not explain it
 */
export function cpuForecast(
  model: CpuModel,
  traffic: TrafficForecasts,
  own: Forecast | undefined,
  coefficients: ResourceCoefficients,
): Forecast {
  if (model.kind === 'own-forecast' && own !== undefined) return own;
  if (model.kind === 'follows-bandwidth') {
    const { intercept, perBps, perFlow, r2 } = model;
    return derived(
      traffic.out,
      'cpuCores',
      `follows bandwidth (R² ${r2.toFixed(2)})`,
      (step, level) =>
        Math.max(
          0,
          intercept +
            perBps * bandwidthAt(traffic, step, level) +
            perFlow * valueAt(traffic.flows, step, level),
        ),
      traffic.out.relativeToSeasonalNaive,
    );
  }
  const perBps = coefficients.cpuCoresPerGbps / GBPS;
  return derived(
    traffic.out,
    'cpuCores',
    'configured coefficient',
    (step, level) => perBps * bandwidthAt(traffic, step, level),
    null,
  );
}

/** Memory of a workload ahead: its highest in the window with headroom, or in proportion as configured. */
export function memoryForecast(
  model: MemoryModel,
  traffic: TrafficForecasts,
  coefficients: ResourceCoefficients,
): Forecast {
  if (model.kind === 'windowed-maximum') {
    // The median is what it was at most; every higher level gets the headroom.
    const { bytes, headroom } = model;
    return derived(
      traffic.out,
      'memoryBytes',
      'windowed maximum',
      (_, level) => (level === undefined || level <= 0.5 ? bytes / (1 + headroom) : bytes),
      null,
    );
  }
  const perBps = (coefficients.memoryGiBPerGbps * GIB) / GBPS;
  return derived(
    traffic.out,
    'memoryBytes',
    'configured coefficient',
    (step, level) => perBps * bandwidthAt(traffic, step, level),
    null,
  );
}

/** Both resources of a workload. */
export const resourceForecasts = (
  model: ResourceModel,
  traffic: TrafficForecasts,
  ownCpu: Forecast | undefined,
  coefficients: ResourceCoefficients,
): { readonly cpu: Forecast; readonly memory: Forecast } => ({
  cpu: cpuForecast(model.cpu, traffic, ownCpu, coefficients),
  memory: memoryForecast(model.memory, traffic, coefficients),
});

/** A series cut to the axis of another; NaN where it says nothing. */
export function onAxis(series: SeriesHistory, axis: SeriesHistory): Float64Array {
  const offset = Math.round((axis.startMs - series.startMs) / axis.stepMs);
  return axis.values.map((_, i) => series.values[offset + i] ?? Number.NaN);
}
