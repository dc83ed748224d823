export {
  aimedLevelBps,
  type BurstMonth,
  type BurstSplit,
  burstSplit,
  evenSplit,
  perfectBurstBps,
} from './burst.js';
export { type CapacityDecision, CapacityPolicy, firstStepFor } from './capacity/policy.js';
export { RISK_LEVELS } from './capacity/rules.js';
export type { CapacityTerms } from './capacity/terms.js';
export { type CircuitDecision, type CircuitState, circuitDecision } from './circuit.js';
export { demandClasses, MAXIMUM_CLASSES } from './classes.js';
export { instancesNeeded, linkTotals, runningSince, type Schedule, scheduleCost } from './cost.js';
export { diffPlans, type PlanChange, type PlanDifference } from './diff.js';
export { planId } from './identity.js';
export { parsePlanInput } from './input-schema.js';
export type { LedgerInstances } from './ledger/instances.js';
export { type LedgerDay, type LedgerLink, type LedgerUsage, ledgerOf } from './ledger/ledger.js';
export { Planner } from './planner.js';
export { type Purchase, purchaseOf } from './purchase.js';
export {
  type AssumptionSettings,
  type Assumptions,
  assumptionsSchema,
} from './simulate/assumptions.js';
export { readSeries, type Series } from './simulate/series.js';
export { type Alternative, type PolicyResult, type Simulation, simulate } from './simulate/simulate.js';
export type {
  Allocation,
  BindingConstraint,
  InstanceCount,
  LinkBurst,
  Period,
  Plan,
  PlanGoals,
  PlanHosts,
  PlanInput,
  PlanLink,
  WorkloadDemand,
} from './types.js';
