export { demandClasses, MAXIMUM_CLASSES } from './classes.js';
export { instancesNeeded, type Schedule, scheduleCost } from './cost.js';
export { Planner } from './planner.js';
export type {
  Allocation,
  BindingConstraint,
  InstanceCount,
  Period,
  Plan,
  PlanGoals,
  PlanHosts,
  PlanInput,
  PlanLink,
  WorkloadDemand,
} from './types.js';
