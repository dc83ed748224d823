export {
  type ActuationPlan,
  type ActuationStep,
  type Actuator,
  type ApplyResult,
  type Change,
  type DesiredAllocation,
  type JsonValue,
  type Preview,
  planAt,
  type Recovery,
  type Refusal,
  type Verification,
} from './actuator.js';
export {
  type ApplierOptions,
  type ApplyReport,
  PlanApplier,
  type PlanPreview,
  type PlanRefusal,
  refusalsIn,
} from './applier.js';
export { AwsActuator, type AwsGroup, type AwsOptions } from './aws.js';
export { type ActuateConfig, actuateConfig } from './config.js';
export { type ActuatorParts, guardLimitsOf, makeActuators, policyOf } from './create.js';
export { DryRunActuator } from './dry-run.js';
export { ExecActuator, type ExecOptions } from './exec.js';
export { FileJournal } from './file-journal.js';
export {
  type Breach,
  breachesOf,
  Guard,
  type GuardLimits,
  type GuardOptions,
  type GuardReading,
} from './guard.js';
export { HtbActuator, type HtbOptions } from './htb.js';
export {
  type Journal,
  type JournalEntry,
  type JournalEvent,
  type JournalledPlan,
  type JournalMirror,
  journalledPlans,
} from './journal.js';
export { KubernetesActuator, type KubernetesOptions, type KubernetesWorkload } from './kubernetes.js';
export { FileLease } from './lease.js';
export type { ActuatedLink, EndpointsOf, ServiceEndpoint } from './link.js';
export { linksDown } from './link-health.js';
export { LinkRates } from './link-rates.js';
export { type BlackoutWindow, type Policy, reasonsAgainst, shareMoved } from './policy.js';
export {
  type LinkCounts,
  LiveReadings,
  type LiveReadingsOptions,
  type ProbeSettings,
  readingBetween,
} from './readings.js';
export { RouteActuator, type RouteOptions } from './route.js';
export type { Steering } from './route-commands.js';
export type { LinkWeights } from './shares.js';
export { SteerActuator, type SteerOptions } from './steer.js';
export { StepActuator } from './step-actuator.js';
export { SurgeRule, type SurgeRuleOptions } from './surge-rule.js';
export { movedAway, SurgeWatch, type SurgeWatchOptions } from './surge-watch.js';
export { signatureOf, WebhookActuator, type WebhookOptions } from './webhook.js';
