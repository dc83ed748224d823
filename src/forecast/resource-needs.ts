/** What a workload needs; each resource as values over the horizon. */
export interface ResourceNeeds {
  readonly bandwidthBps: Float64Array;
  readonly cpuCores: Float64Array;
  readonly memoryBytes: Float64Array;
}

/** How CPU and memory follow bandwidth as long as no telemetry says better: configured, not measured. */
export interface ResourceCoefficients {
  readonly cpuCoresPerGbps: number;
  readonly memoryGiBPerGbps: number;
}

const GBPS = 1e9;

/** CPU and memory in proportion to a bandwidth path. */
export const resourceNeeds = (
  bandwidthBps: Float64Array,
  coefficients: ResourceCoefficients,
): ResourceNeeds => ({
  bandwidthBps,
  cpuCores: bandwidthBps.map((bps) => (bps / GBPS) * coefficients.cpuCoresPerGbps),
  memoryBytes: bandwidthBps.map((bps) => (bps / GBPS) * coefficients.memoryGiBPerGbps * 2 ** 30),
});
