/** Answers of the gateway's API, as `/api/openapi.json` describes them; only what the console shows. */

export interface Evidence {
  /** The statements behind the numbers; empty = counters of the gateway itself. */
  readonly sql: readonly string[];
}

export interface LossCount {
  readonly stage: string;
  readonly reason: string;
  readonly packets: number;
}

export interface PacketBalance {
  readonly seen: number;
  readonly stored: number;
  readonly resident: number;
  readonly residentBy: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly lostBy: readonly LossCount[];
  readonly difference: number;
}

export interface GatewayStatus {
  readonly gateway: string;
  readonly mode: string;
  readonly startedMs: number;
  readonly nowMs: number;
  readonly packets: PacketBalance;
  readonly rate: { readonly packetsPerSecond: number; readonly bitsPerSecond: number };
  readonly flows: { readonly active: number; readonly records: number };
  readonly workloads: readonly { readonly workloadId: number; readonly name: string }[];
  readonly forecasts: number;
  readonly plan: {
    readonly id: string;
    readonly costUsd: number;
    readonly doNothingUsd: number;
    readonly createdMs: number;
    readonly next: { readonly atMs: number; readonly words: string } | null;
  } | null;
  readonly store: { readonly kind: string; readonly reachable: boolean; readonly spoolBytes: number };
  readonly warnings: readonly string[];
}

export interface Link {
  readonly linkId: string;
  readonly interface: string;
  readonly network: 'private' | 'public';
  readonly wayOut: boolean;
  readonly tariff: string;
  readonly capacityBps: number;
  readonly outBps: number;
  readonly inBps: number;
  readonly utilisation: number;
  readonly usdPerGb: number;
  readonly ahead: {
    readonly startMs: number;
    readonly stepMs: number;
    readonly outMedianBps: readonly number[];
    readonly outUpperBps: readonly number[];
    readonly peakOutMedianBps: number;
    readonly peakOutUpperBps: number;
  } | null;
}

export interface Overview extends Evidence {
  readonly status: GatewayStatus;
  readonly recent: {
    readonly startMs: number;
    readonly stepMs: number;
    readonly outBps: readonly number[];
    readonly inBps: readonly number[];
    readonly packetsPerSecond: readonly number[];
  };
  readonly links: readonly Link[];
  readonly month: {
    readonly month: string;
    readonly actualUsd: number;
    readonly doNothingUsd: number;
    readonly perfectUsd: number;
    readonly savedUsd: number;
  };
}

export interface FlowGroup {
  readonly key: Readonly<Record<string, string>>;
  readonly label: string;
  readonly octets: number;
  readonly packets: number;
  readonly flows: number;
  readonly averageBps: number;
  readonly maximumBps: number;
  readonly p95Bps: number;
  readonly bps: readonly number[];
}

export interface Flows extends Evidence {
  readonly table: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly stepMs: number;
  readonly groups: readonly FlowGroup[];
  readonly others: FlowGroup;
  readonly total: FlowGroup;
}

export interface SankeyAnswer extends Evidence {
  readonly nodes: readonly {
    readonly id: string;
    readonly kind: 'link' | 'workload' | 'peer';
    readonly value: string;
    readonly label: string;
    readonly octets: number;
  }[];
  readonly links: readonly {
    readonly source: string;
    readonly target: string;
    readonly octets: number;
    readonly averageBps: number;
  }[];
}

export interface WorkloadCard {
  readonly workloadId: number;
  readonly name: string;
  readonly namedBy: 'behaviour' | 'rule' | 'user';
  readonly service: string;
  readonly endpoints: number;
  readonly flows: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly isNew: boolean;
  readonly rateBps: number;
  readonly confidence: number | null;
  readonly reconstructionError: number;
  readonly sizeDrift: number;
  readonly recent: {
    readonly flows: number;
    readonly octetsOut: number;
    readonly octetsIn: number;
    readonly share: number;
    readonly packetSizes: readonly number[];
    readonly gaps: readonly number[];
  };
}

export interface HistogramAxes {
  readonly sizeEdges: readonly number[];
  readonly gapEdgesMicroseconds: readonly number[];
}

export interface Workloads extends Evidence, HistogramAxes {
  readonly workloads: readonly WorkloadCard[];
}

export interface WorkloadDetail extends Evidence, HistogramAxes {
  readonly workload: WorkloadCard;
  readonly endpoints: readonly string[];
  readonly nearest: readonly {
    readonly workloadId: number;
    readonly name: string;
    readonly similarity: number;
  }[];
  readonly events: readonly { readonly timeMs: number; readonly kind: string; readonly words: string }[];
}

export interface FingerprintMap extends Evidence {
  readonly basis: { readonly id: string; readonly explained: readonly number[] } | null;
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    readonly flowId: string;
    readonly timeMs: number;
    readonly workloadId: number;
  }[];
  readonly workloads: readonly {
    readonly workloadId: number;
    readonly name: string;
    readonly x: number;
    readonly y: number;
    readonly isNew: boolean;
    readonly sizeDrift: number;
  }[];
}

export interface ForecastPath {
  readonly createdMs: number;
  readonly startMs: number;
  readonly stepMs: number;
  readonly median: readonly number[];
  readonly levels: readonly number[];
  readonly quantiles: readonly (readonly number[])[];
}

export interface Judged {
  readonly seriesId: string;
  readonly of:
    | { readonly kind: 'workload'; readonly workloadId: number; readonly name: string }
    | { readonly kind: 'link'; readonly linkId: string; readonly name: string };
  readonly signal: string;
  readonly status: string;
  readonly refusal: string;
  readonly mix: readonly {
    readonly model: string;
    readonly weight: number;
    readonly error: number | null;
  }[];
  readonly historySteps: number;
  readonly relativeToSeasonalNaive: number | null;
  readonly coverageP90: number | null;
  readonly coverageP99: number | null;
  readonly forecast: ForecastPath;
}

export interface Forecasts extends Evidence {
  readonly forecasts: readonly Judged[];
}

export interface ForecastSeries extends Judged, Evidence {
  readonly earlier: ForecastPath | null;
  readonly history: {
    readonly startMs: number;
    readonly stepMs: number;
    readonly values: readonly number[];
  } | null;
  readonly accuracy: readonly {
    readonly day: string;
    readonly model: string;
    readonly forecasts: number;
    readonly meanAbsoluteError: number;
    readonly meanActual: number;
    readonly relativeError: number | null;
    readonly bias: number;
  }[];
}

export type PlanState = 'applied' | 'approved' | 'open' | 'expired';

export interface Plan {
  readonly id: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly periods: readonly { readonly startMs: number; readonly durationMs: number }[];
  readonly allocations: readonly {
    readonly workloadId: number;
    readonly resource: 'bandwidth' | 'cpu' | 'memory';
    readonly target: string;
    readonly fromMs: number;
    readonly untilMs: number;
    readonly amount: number;
  }[];
  readonly instances: readonly {
    readonly instanceId: string;
    readonly fromMs: number;
    readonly untilMs: number;
    readonly count: number;
  }[];
  readonly costUsd: number;
  readonly doNothingUsd: number;
  readonly expectedViolationMinutes: number;
  readonly doNothingViolationMinutes: number;
  readonly binding: readonly {
    readonly constraint: string;
    readonly shadowUsdPerGbps?: number;
    readonly words: string;
  }[];
  readonly reasons: readonly { readonly workloadId: number; readonly words: string }[];
  readonly inputs?: {
    readonly links: readonly {
      readonly linkId: string;
      readonly network: string;
      readonly capacityBps: number;
      readonly usdPerGb: number;
    }[];
  };
  readonly conflicts?: readonly string[];
}

export interface Actuation {
  readonly mode: string;
  readonly actuators: readonly string[];
  readonly followingPlanId: string | null;
  readonly lastProblem: string | null;
}

export interface PlanAnswer extends Evidence {
  readonly plan: Plan;
  readonly state: PlanState;
  readonly approvedBy: string | null;
  readonly approvedMs: number | null;
  readonly actuation: Actuation;
}

export interface PlanList extends Evidence {
  readonly plans: readonly {
    readonly id: string;
    readonly createdMs: number;
    readonly expiresMs: number;
    readonly costUsd: number;
    readonly doNothingUsd: number;
    readonly expectedViolationMinutes: number;
    readonly state: PlanState;
    readonly approvedBy: string | null;
  }[];
  readonly actuation: Actuation;
}

export interface PlanDiff extends Evidence {
  readonly againstId: string | null;
  readonly costUsd: number;
  readonly violationMinutes: number;
  readonly changes: readonly {
    readonly workloadId: number;
    readonly name: string;
    readonly linkId: string;
    readonly beforeBps: number;
    readonly afterBps: number;
  }[];
}

export interface PlanPreview extends Evidence {
  readonly steps: readonly {
    readonly actuator: string;
    readonly action: string;
    readonly target: string;
    readonly words: string;
  }[];
  readonly refused: readonly { readonly actuator: string; readonly reason: string }[];
  readonly against: readonly string[];
}

export interface Ledger extends Evidence {
  readonly days: readonly {
    readonly day: string;
    readonly actualUsd: number;
    readonly doNothingUsd: number;
    readonly perfectUsd: number;
    readonly regretUsd: number;
    readonly savedUsd: number;
    readonly violationMinutes: number;
    readonly gb: number;
  }[];
}

export interface MonthLink {
  readonly linkId: string;
  readonly tariffId: string;
  readonly elapsedSamples: number;
  readonly outBps: readonly number[];
  readonly inBps: readonly number[];
  readonly octetsOut: number;
  readonly octetsIn: number;
  readonly outP95Bps: number;
  readonly inP95Bps: number;
  readonly burstable: {
    readonly percentile: number;
    readonly rule: string;
    readonly commitBps: number;
    readonly measuredBps: number;
    readonly billedBps: number;
    readonly usd: number;
    readonly freeSamples: number;
    readonly freeSamplesLeft: number;
  } | null;
}

export interface Month extends Evidence {
  readonly month: string;
  readonly links: readonly MonthLink[];
  readonly lines: readonly {
    readonly linkId: string;
    readonly tariffId: string;
    readonly item: string;
    readonly quantity: number;
    readonly unit: string;
    readonly unitPriceUsd: number;
    readonly amountUsd: number;
    readonly words: string;
  }[];
  readonly totalUsd: number;
}

export interface Stage {
  readonly stage: string;
  readonly words: string;
  readonly passed: number;
  readonly passedPerSecond: number;
  readonly resident: number;
  readonly lost: number;
}

export interface Health extends Evidence {
  readonly status: string;
  readonly reasons: Readonly<Record<string, string>>;
  readonly startedMs: number;
  readonly nowMs: number;
  readonly packets: PacketBalance;
  readonly stages: readonly Stage[];
  readonly store: GatewayStatus['store'];
  readonly warnings: readonly string[];
}

export interface Doctor extends Evidence {
  readonly findings: readonly {
    readonly id: string;
    readonly result: 'ok' | 'info' | 'warning' | 'blocker' | 'unknown';
    readonly words: string;
    readonly remedy: string;
  }[];
}

export interface Audit extends Evidence {
  readonly entries: readonly {
    readonly timeMs: number;
    readonly action: string;
    readonly by: string;
    readonly from: string;
    readonly outcome: string;
    readonly words: string;
  }[];
}

export interface SqlAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly truncated: boolean;
  readonly elapsedMs: number;
}
