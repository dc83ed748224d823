import type { LabLinkId } from '../plan.js';
import type { DaySettings } from './profile.js';
import type { LabWorkload } from './workloads.js';

/** What one side of one workload did since it started, in application octets and messages. */
export interface SideReport {
  readonly node: LabLinkId;
  readonly workload: LabWorkload;
  readonly side: 'client' | 'server';
  sentOctets: number;
  receivedOctets: number;
  /** TCP connections that were established; for UDP, sockets bound. */
  connections: number;
  /** Requests answered (client) or answers given (server); files for bulk, streams for stream, datagrams. */
  exchanges: number;
  /** Connections or requests that failed. */
  errors: number;
  /** Histogram of request latencies, see latency.ts; empty where nothing is asked. */
  readonly latency: number[];
}

/** Parent → traffic process. */
export type ToHost =
  | {
      readonly type: 'init';
      readonly node: LabLinkId;
      readonly day: DaySettings;
      readonly scale: number;
      readonly workloads: readonly LabWorkload[];
    }
  | { readonly type: 'go' }
  | { readonly type: 'load'; readonly workload: LabWorkload; readonly factor: number }
  | { readonly type: 'report' }
  | { readonly type: 'stop' };

/** Traffic process → parent. */
export type FromHost =
  | { readonly type: 'ready' }
  | { readonly type: 'report'; readonly sides: readonly SideReport[] }
  | { readonly type: 'stopped'; readonly sides: readonly SideReport[] }
  | { readonly type: 'failed'; readonly reason: string };
