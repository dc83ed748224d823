export { UsageCollector, type UsageCollectorOptions } from './collector.js';
export { type UsageConfig, usageConfig } from './config.js';
export { HostMapping, hostOf, type ServedStep } from './host-mapping.js';
export {
  type LabelledSeries,
  PrometheusClient,
  type PrometheusOptions,
  type RegularSeries,
} from './prometheus.js';
export { readResources, type WorkloadResources } from './read-usage.js';
export { type LinearFit, robustFit } from './regression.js';
export {
  type CpuModel,
  type MemoryModel,
  type ResourceHistory,
  type ResourceModel,
  type ResourceModelOptions,
  resourceModelOf,
} from './resource-model.js';
