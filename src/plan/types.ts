import type { CircuitDecision, CircuitState } from './circuit.js';

/** A stretch of the future that is planned as one. */
export interface Period {
  readonly startMs: number;
  readonly durationMs: number;
}

/** What a workload will need, one value a period. */
export interface WorkloadDemand {
  readonly workloadId: number;
  readonly name: string;
  /** Expected bandwidth out, bit/s: what is billed. */
  readonly medianBps: readonly number[];
  /** Bandwidth to be prepared for, bit/s: what is sized. At least the median. */
  readonly peakBps: readonly number[];
  readonly cpuCores: readonly number[];
  readonly memoryBytes: readonly number[];
  /** Where its traffic goes now: link → share of its octets, summing to 1; empty = nowhere yet. */
  readonly currentShares: Readonly<Record<string, number>>;
  /** Never leaves this link. */
  readonly pinnedTo?: string;
  /** Only links at most this slow will do. */
  readonly latencyBoundMs?: number;
  /** May wait this long: only its volume counts, not its moment. */
  readonly deferrableMs?: number;
  /** `false`: all of it on one link at a time. */
  readonly splittable?: boolean;
}

export interface PlanLink {
  readonly linkId: string;
  readonly network: 'private' | 'public';
  readonly capacityBps: number;
  /** Price of the next decimal gigabyte sent, and of an hour of the port. */
  readonly usdPerGb: number;
  readonly portHourUsd: number;
  readonly healthy: boolean;
  /** One way, as measured or configured; unknown = fast enough for everyone. */
  readonly latencyMs?: number;
  readonly tariffId?: string;
  /** Where the month stands with a link that is billed by a percentile of its samples. */
  readonly burst?: LinkBurst;
  /** Where its capacity comes in steps. */
  readonly circuit?: CircuitState;
}

/** Above the level, a sample is free while there are free samples left; then each Mbit/s is owed for the month. */
export interface LinkBurst {
  /** Billed already, committed, or meant to be billed this month. */
  readonly levelBps: number;
  /** Samples that may exceed the level. */
  readonly freeSamples: number;
  readonly sampleMs: number;
  /** For each Mbit/s above the level. */
  readonly usdPerMbps: number;
}

/** Where workloads run: own hosts first, then instances that are rented by the hour. */
export interface PlanHosts {
  readonly privateCpuCores: number;
  readonly privateMemoryBytes: number;
  readonly instance: {
    readonly instanceId: string;
    readonly cpuCores: number;
    readonly memoryBytes: number;
    readonly usdPerHour: number;
    /** From spare capacity, which may be taken back. */
    readonly spot?: { readonly usdPerHour: number; readonly interruptionPerHour: number };
    /** When reserved for a year. */
    readonly reservedUsdPerHour?: number;
    /** From the loss of an instance until another one stands. */
    readonly replacementMinutes?: number;
    /** An instance that was started runs at least this long. */
    readonly holdMs?: number;
    /** From the decision to rent one until it does its work. */
    readonly leadMs?: number;
    /** When each of those that run now was started, Unix time. */
    readonly runningSinceMs?: readonly number[];
    /** What the capacity rule has decided for the first period; absent = the sized demand decides there too. */
    readonly ruled?: { readonly count: number; readonly words: string };
  };
}

export interface PlanGoals {
  /** Links are filled to this share of their capacity at most. */
  readonly maximumUtilisation: number;
  /** What a minute during which some demand finds no room is worth. */
  readonly violationUsdPerMinute: number;
  /** Minutes without room that are tolerated in 30 days; a plan that expects more says which goals conflict. */
  readonly maximumViolationMinutes?: number;
}

export interface PlanInput {
  readonly gateway: string;
  readonly nowMs: number;
  readonly periods: readonly Period[];
  readonly workloads: readonly WorkloadDemand[];
  readonly links: readonly PlanLink[];
  readonly hosts: PlanHosts;
  readonly goals: PlanGoals;
  /** A plan is worth nothing after this. */
  readonly expiresMs: number;
  /** When the forecasts behind the demand were made; older than the horizon is long = refused. */
  readonly forecastMs?: number;
}

export interface Allocation {
  readonly workloadId: number;
  readonly resource: 'bandwidth' | 'cpu' | 'memory';
  /** Link for bandwidth; `private` or the instance type for CPU and memory. */
  readonly target: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** bit/s, cores or bytes. */
  readonly amount: number;
}

export interface InstanceCount {
  readonly instanceId: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly count: number;
}

export interface BindingConstraint {
  readonly constraint: string;
  /** What one more Gbit/s would save over the horizon, at the margin, dollars; violations avoided not counted. */
  readonly shadowUsdPerGbps?: number;
  readonly words: string;
}

/** Immutable; its id is the hash of everything else in it. */
export interface Plan {
  readonly id: string;
  readonly gateway: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly periods: readonly Period[];
  readonly allocations: readonly Allocation[];
  readonly instances: readonly InstanceCount[];
  readonly costUsd: number;
  /** Keeping the present shares and enough instances for the horizon's peak, priced by the same rules. */
  readonly doNothingUsd: number;
  readonly expectedViolationMinutes: number;
  readonly doNothingViolationMinutes: number;
  readonly binding: readonly BindingConstraint[];
  readonly reasons: readonly { readonly workloadId: number; readonly words: string }[];
  /** What the plan was made from, by reference: the hash of all of it, and the links as they were priced. */
  readonly inputs?: {
    readonly sha256: string;
    readonly forecastMs: number | null;
    readonly links: readonly PlanLink[];
    readonly workloads: number;
  };
  /** The cost if demand stays at its median and if it reaches its sized quantile throughout. */
  readonly costInterval?: { readonly lowUsd: number; readonly highUsd: number };
  /** Goals that cannot all be kept, and the smallest relaxation that would do. */
  readonly conflicts?: readonly string[];
  /** When each instance that ran when the plan was made had been started: what the next plan's hold begins from. */
  readonly runningSinceMs?: readonly number[];
  /** How instances are bought, in words; and what reserving would save, where it would. */
  readonly purchase?: {
    readonly kind: 'on-demand' | 'spot';
    readonly words: string;
    readonly reserve?: string;
    /** By which rule the number of the first period was found, where it was the capacity rule. */
    readonly rule?: string;
  };
  /** What to lease where capacity comes in steps. */
  readonly circuits?: readonly CircuitDecision[];
  readonly solver: { readonly status: string; readonly classes: number };
}
