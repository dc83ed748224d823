import { robustFit } from './regression.js';

/** How a workload's CPU is told ahead. */
export type CpuModel =
  /** cores = intercept + perBps · bit/s + perFlow · flows/s, as measured. */
  | {
      readonly kind: 'follows-bandwidth';
      readonly intercept: number;
      readonly perBps: number;
      readonly perFlow: number;
      readonly r2: number;
    }
  /** Telemetry there is, but it does not follow bandwidth: the series is forecast by itself. */
  | { readonly kind: 'own-forecast'; readonly r2: number | null }
  /** No telemetry: coefficients from the configuration. */
  | { readonly kind: 'configured' };

/** Memory hardly ever shrinks by itself: the highest of the window, with headroom (Rzadca et al., Autopilot, 2020). */
export type MemoryModel =
  | { readonly kind: 'windowed-maximum'; readonly bytes: number; readonly headroom: number }
  | { readonly kind: 'configured' };

export interface ResourceModel {
  readonly cpu: CpuModel;
  readonly memory: MemoryModel;
}

/** What telemetry and flows say of one workload, on one time axis; NaN = not known. */
export interface ResourceHistory {
  readonly cpuCores: Float64Array;
  readonly memoryBytes: Float64Array;
  /** The busier direction. */
  readonly bandwidthBps: Float64Array;
  readonly flowsPerSecond: Float64Array;
}

export interface ResourceModelOptions {
  /** From this share of explained variance on, CPU follows bandwidth. */
  readonly minimumR2: number;
  /** Steps that the regression and the memory maximum look back. */
  readonly windowSteps: number;
  /** Memory is provided for the maximum times 1 + headroom. */
  readonly memoryHeadroom: number;
}

const known = (values: Float64Array): number => values.reduce((n, v) => n + (Number.isFinite(v) ? 1 : 0), 0);

/** Fewer known values than this are no telemetry yet. */
const MINIMUM_KNOWN = 12;

/** Decides, by the last `windowSteps`, how a workload's CPU and memory are told ahead. */
export function resourceModelOf(history: ResourceHistory, options: ResourceModelOptions): ResourceModel {
  const recent = (values: Float64Array): Float64Array =>
    values.subarray(Math.max(0, values.length - options.windowSteps));
  const cpuCores = recent(history.cpuCores);
  const memory = recent(history.memoryBytes).filter(Number.isFinite);
  return {
    cpu: cpuModelOf(
      cpuCores,
      recent(history.bandwidthBps),
      recent(history.flowsPerSecond),
      options.minimumR2,
    ),
    memory:
      memory.length === 0
        ? { kind: 'configured' }
        : {
            kind: 'windowed-maximum',
            bytes: memory.reduce((top, value) => Math.max(top, value), 0) * (1 + options.memoryHeadroom),
            headroom: options.memoryHeadroom,
          },
  };
}

function cpuModelOf(
  cpuCores: Float64Array,
  bandwidthBps: Float64Array,
  flowsPerSecond: Float64Array,
  minimumR2: number,
): CpuModel {
  if (known(cpuCores) < MINIMUM_KNOWN) return { kind: 'configured' };
  const fit = robustFit(cpuCores, [bandwidthBps, flowsPerSecond]);
  if (fit === undefined || fit.r2 < minimumR2) return { kind: 'own-forecast', r2: fit?.r2 ?? null };
  const [perBps = 0, perFlow = 0] = fit.slopes;
  return { kind: 'follows-bandwidth', intercept: fit.intercept, perBps, perFlow, r2: fit.r2 };
}
