import type { ApplyReport, PlanPreview } from '../actuate/index.js';
import type { Logger } from '../base/logger.js';
import type { ModelInfo, Workload, WorkloadLabel } from '../fingerprint/index.js';
import type { CycleOutcome } from '../pipeline/cycle-plan.js';
import type { GatewayStatus } from '../pipeline/status.js';
import type { Plan } from '../plan/index.js';
import type { PriceBook } from '../pricing/index.js';
import type { StoreAccess, StoreClient } from '../store/index.js';
import type { ApiConfig } from './config.js';
import type { Observations } from './observations.js';

/** What may be done with plans. */
export interface PlanOperations {
  /** What is being done to the world now. */
  readonly state: {
    readonly mode: string;
    readonly actuators: readonly string[];
    readonly followingPlanId: string | null;
    readonly lastProblem: string | null;
  };
  /** The newest plan whose id begins so. @throws TG_PLAN_UNKNOWN, TG_PLAN_AMBIGUOUS */
  find(planId: string): Promise<Plan>;
  preview(planId: string): Promise<PlanPreview>;
  apply(planId: string): Promise<ApplyReport>;
  /** Id of the plan that was undone; `undefined` when none was applied. */
  rollback(reason: string): Promise<string | undefined>;
}

/** What may be asked of and done to workloads. */
export interface WorkloadOperations {
  /** The encoder whose vectors are compared. */
  readonly modelId: string;
  workloads(): readonly Workload[];
  workload(workloadId: number): Workload;
  resolve(workloadId: number): number;
  endpointsOf(workloadId: number): readonly string[];
  nearest(vector: ArrayLike<number>, count: number): readonly { workload: Workload; similarity: number }[];
  labels(): readonly WorkloadLabel[];
  label(workloadId: number, name: string): Workload;
  merge(intoId: number, fromId: number, nowMs: number): Workload;
  split(endpointKeys: readonly string[], name: string, nowMs: number): Workload;
}

/** A way out, as the configuration describes it. */
export interface ApiLink {
  readonly linkId: string;
  readonly interface: string;
  readonly network: 'private' | 'public';
  readonly wayOut: boolean;
  readonly capacityBps: number;
  readonly tariff: string;
}

/** One finding of `tidegate doctor`. */
export interface DoctorFinding {
  readonly id: string;
  readonly result: 'ok' | 'info' | 'warning' | 'blocker' | 'unknown';
  readonly words: string;
  readonly remedy: string;
}

/** What metrics show beside the status. */
export interface PipelineFigures {
  /** How full the fullest ring is, 0..1. */
  readonly ringFill: number;
  /** Step of the overload ladder, 0 = nothing is given up. */
  readonly overloadLevel: number;
  /** Payload heads by what became of them. */
  readonly headsByOutcome: Readonly<Record<string, number>>;
  /** Batches of flow records under way. */
  readonly inferQueue: number;
  readonly recordsByEndReason: Readonly<Record<string, number>>;
  readonly forecasts: readonly {
    readonly workloadId: number;
    readonly signal: string;
    readonly relativeToSeasonalNaive: number | null;
    readonly coverage: { readonly p90: number | null; readonly p99: number | null };
  }[];
  readonly actuations: readonly {
    readonly actuator: string;
    readonly result: string;
    readonly count: number;
  }[];
}

export interface ApiDependencies {
  readonly gateway: string;
  readonly config: ApiConfig;
  /** The unix socket to listen on; only its owner may connect. */
  readonly socket: string;
  readonly logger: Logger;
  readonly status: () => GatewayStatus;
  readonly figures: () => PipelineFigures;
  readonly observations: Observations;
  /** Reasons why the gateway is not ready, by component; empty = ready. */
  readonly notReady: () => Readonly<Record<string, string>>;
  readonly links: readonly ApiLink[];
  readonly prices: PriceBook;
  /** Reads history; of the store's read-only user. Asked for when needed: it exists once the store has started. */
  readonly reader: () => Pick<StoreClient, 'query'>;
  /** Access to the store that statements of people are run with. */
  readonly readerAccess: () => StoreAccess;
  /** Writes the audit. */
  readonly writer: () => Pick<StoreClient, 'insertRows'>;
  readonly workloads: () => WorkloadOperations;
  /** Takes up the gateway's model file again. @throws TG_FINGERPRINT_MODEL_…; then the old model stays */
  readonly reloadModel: () => Promise<ModelInfo>;
  readonly plans: PlanOperations;
  /** Where approvals outlive the process; absent = they do not. */
  readonly approvalsFile?: string;
  /** Forecasts and plans now: the plan, or why there is none. */
  readonly planNow: () => Promise<CycleOutcome>;
  readonly doctor: () => Promise<readonly DoctorFinding[]>;
  /** Upper edges of the packet size bins, octets. */
  readonly sizeEdges: readonly number[];
  /** The built console; absent = none is served. */
  readonly consoleDirectory?: string;
}
