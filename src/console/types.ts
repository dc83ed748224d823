import type { Answers } from './answers.generated.js';

/** Answers are looked at, never changed. */
type Frozen<T> = T extends (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** The answer of the API at a method and path, as `/api/openapi.json` describes it. */
export type Answer<Path extends keyof Answers> = Frozen<Answers[Path]>;

export type Overview = Answer<'GET /api/overview'>;
export type GatewayStatus = Overview['status'];
export type Link = Overview['links'][number];

export type Flows = Answer<'GET /api/flows'>;
export type FlowGroup = Flows['groups'][number];
export type SankeyAnswer = Answer<'GET /api/flows/sankey'>;

export type Workloads = Answer<'GET /api/workloads'>;
export type WorkloadCard = Workloads['workloads'][number];
export type WorkloadDetail = Answer<'GET /api/workloads/{workloadId}'>;
export type HistogramAxes = Pick<Workloads, 'sizeEdges' | 'gapEdgesMicroseconds'>;
export type FingerprintMap = Answer<'GET /api/fingerprints/map'>;

export type Forecasts = Answer<'GET /api/forecasts'>;
export type Judged = Forecasts['forecasts'][number];
export type ForecastSeries = Answer<'GET /api/forecasts/series'>;

export type PlanAnswer = Answer<'GET /api/plans/current'>;
export type Plan = PlanAnswer['plan'];
export type Actuation = PlanAnswer['actuation'];
export type PlanList = Answer<'GET /api/plans'>;
export type PlanDiff = Answer<'GET /api/plans/{planId}/diff'>;
export type PlanPreview = Answer<'GET /api/plans/{planId}/preview'>;

export type Ledger = Answer<'GET /api/cost/ledger'>;
export type Month = Answer<'GET /api/cost/month'>;
export type MonthLink = Month['links'][number];

export type Health = Answer<'GET /api/health'>;
export type Stage = Health['stages'][number];
export type Doctor = Answer<'GET /api/doctor'>;
export type Audit = Answer<'GET /api/audit'>;
export type SqlAnswer = Answer<'POST /api/sql'>;
