import { z } from 'zod';
import { durationSetting } from '../base/settings.js';

/** Processor cores in use by host, as node_exporter tells it; `$window` becomes the look-back of a rate. */
const NODE_CPU = 'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[$window]))';
const NODE_MEMORY = 'sum by (instance) (node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)';

/** Where CPU and memory of the workloads' hosts are measured. `{}` = nowhere: configured coefficients are used. */
export const usageConfig = z.strictObject({
  prometheus: z
    .strictObject({
      url: z.url(),
      bearerToken: z.string().min(1).optional(),
      user: z.string().min(1).optional(),
      password: z.string().optional(),
      timeout: durationSetting.prefault('30s'),
    })
    .optional(),
  /** PromQL with one series a host or pod. */
  cpuQuery: z.string().min(1).default(NODE_CPU),
  memoryQuery: z.string().min(1).default(NODE_MEMORY),
  /** Label that holds the address, with or without port; for pods `pod_ip`. */
  hostLabel: z.string().min(1).default('instance'),
  /** Addresses of hosts that Prometheus knows by name. */
  addresses: z.record(z.string(), z.union([z.ipv4(), z.ipv6()])).default({}),
  /** Step of the stored series; at least as long as the scrape interval. */
  step: durationSetting.prefault('1m'),
  /** Look-back of rates, at least four scrapes. */
  window: durationSetting.prefault('2m'),
  every: durationSetting.prefault('1m'),
  /** How far back to fetch at the first start. */
  backfill: durationSetting.prefault('7d'),
  /** An address is still taken for the workload that it served last for so long without traffic. */
  hold: durationSetting.prefault('1h'),
  /** CPU follows bandwidth when it explains at least this share of its variance. */
  minimumR2: z.number().min(0).max(1).default(0.3),
  /** How far back the regression and the memory maximum look. */
  fitWindow: durationSetting.prefault('7d'),
  /** Memory is provided for its maximum in the window times 1 + headroom. */
  memoryHeadroom: z.number().min(0).max(10).default(0.15),
});

export type UsageConfig = z.infer<typeof usageConfig>;
