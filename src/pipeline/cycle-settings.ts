import type {
  CalendarRule,
  ProphetSettings,
  RegressorRule,
  ResourceCoefficients,
} from '../forecast/index.js';
import type { PlanGoals, PlanHosts } from '../plan/index.js';
import type { ResourceModelOptions } from '../usage/index.js';

/** How a gateway's planning cycle looks back and ahead, and what it plans for. */
export interface CycleSettings {
  readonly everyMs: number;
  /** How long a plan may be applied after it was made; never beyond the end of its horizon. */
  readonly validForMs: number;
  readonly stepMs: number;
  readonly seasonsMs: readonly number[];
  readonly horizonMs: number;
  readonly historyMs: number;
  /** Records of a packet have arrived in the store after so long. */
  readonly lagMs: number;
  readonly models?: readonly string[];
  readonly calendar: readonly CalendarRule[];
  readonly regressors: readonly RegressorRule[];
  readonly prophet?: ProphetSettings;
  readonly quantiles: readonly number[];
  /** The quantile that capacity is provided for. */
  readonly sizingQuantile: number;
  readonly coefficients: ResourceCoefficients;
  /** How collected CPU and memory are used; absent = nothing is collected. */
  readonly resourceModel?: ResourceModelOptions;
  readonly goals: PlanGoals;
  readonly hosts: PlanHosts;
}
