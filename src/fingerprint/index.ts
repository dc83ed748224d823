export { type FingerprintConfig, fingerprintConfig } from './config.js';
export { adoptedModelPath, defaultModelPath, FingerprintEncoder, readModelFile } from './encoder.js';
export { extractFeatures } from './features/extract.js';
export {
  FEATURE_VARIANTS,
  type FeatureSchema,
  type FeatureVariant,
  featureSchema,
} from './features/schema.js';
export type { ModelInfo } from './model-info.js';
export { groupByEndpoint } from './workloads/endpoint.js';
export { PodLabels } from './workloads/pod-labels.js';
export { type RegistryOptions, WorkloadRegistry } from './workloads/registry.js';
export type { RegistrySnapshot } from './workloads/snapshot.js';
export type {
  Assignment,
  EndpointGroups,
  EndpointSummary,
  Workload,
  WorkloadEvent,
  WorkloadEventKind,
  WorkloadLabel,
} from './workloads/types.js';
export { cosine } from './workloads/vectors.js';
