/** How CPU and memory follow bandwidth as long as no telemetry says better: configured, not measured. */
export interface ResourceCoefficients {
  readonly cpuCoresPerGbps: number;
  readonly memoryGiBPerGbps: number;
}
