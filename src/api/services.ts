import type { Approvals } from './approvals.js';
import type { Audit } from './audit.js';
import type { GatewayMetrics } from './metrics.js';
import type { FingerprintProjection } from './projection.js';
import type { StageMonitor } from './stages.js';

/** What all addresses of the API share. */
export interface Services {
  readonly version: string;
  readonly audit: Audit;
  readonly approvals: Approvals;
  readonly projection: FingerprintProjection;
  readonly stages: StageMonitor;
  readonly metrics: GatewayMetrics;
  /** Event streams that are open. */
  readonly streams: { open: number };
  /** Aborted when the API stops: streams end. */
  readonly signal: AbortSignal;
}
