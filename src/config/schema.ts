import { z } from 'zod';
import { actuateConfig } from '../actuate/index.js';
import { apiConfig } from '../api/config.js';
import { durationSetting, rateSetting, sizeSetting } from '../base/settings.js';
import { captureConfig } from '../capture/config.js';
import { fingerprintConfig } from '../fingerprint/index.js';
import { forecastConfig } from '../forecast/index.js';
import { ipfixConfig } from '../ipfix/index.js';
import { labConfig } from '../lab/config.js';
import { storeConfig } from '../store/config.js';
import { usageConfig } from '../usage/index.js';

/** A way out of the gateway, or into it. */
const linkConfig = z.strictObject({
  linkId: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'lower-case letters, digits and dashes'),
  /** NIC that carries it; must be among capture.interfaces or is added to them. */
  interface: z.string().min(1).max(15),
  netns: z.string().optional(),
  network: z.enum(['private', 'public']),
  /** Whether traffic may be planned over it; the inside of the gateway is no way out. */
  wayOut: z.boolean().default(true),
  capacity: rateSetting,
  /** Tariff of the price book that its traffic is billed by. */
  tariff: z.string().default('free'),
  /** Next hops behind it; traffic can be steered over a link only when they are known. */
  nextHopIPv4: z.ipv4().optional(),
  nextHopIPv6: z.ipv6().optional(),
});

/** When history becomes forecasts and forecasts a plan. */
const cycleConfig = z.strictObject({
  enabled: z.boolean().default(true),
  /** Time between two plans. */
  every: durationSetting.prefault('5m'),
  /** Step of the series that are forecast. */
  step: durationSetting.prefault('5m'),
  /** Season lengths of the traffic; an empty list = detected, series by series. */
  seasons: z.array(durationSetting).prefault(['1d', '7d']),
  /** How far ahead to look. */
  horizon: durationSetting.prefault('1d'),
  /** How much history to read. */
  history: durationSetting.prefault('28d'),
  /** CPU and memory that a workload needs per Gbit/s, as long as no telemetry says better. */
  cpuCoresPerGbps: z.number().nonnegative().default(2),
  memoryGiBPerGbps: z.number().nonnegative().default(4),
});

/** What a plan may use and must keep. */
const planConfig = z.strictObject({
  /** A price book of one's own; absent = the one that ships with Tidegate. */
  priceBook: z.string().optional(),
  /** A plan may be applied for this long, but at least until the next but one is made. */
  validFor: durationSetting.prefault('30m'),
  /** Links are filled to this share at most. */
  maximumUtilisation: z.number().gt(0).max(1).default(0.8),
  /** What a minute in which some demand finds no room is worth, in dollars. */
  violationUsdPerMinute: z.number().nonnegative().default(1),
  /** Minutes without room that are tolerated in 30 days; a plan that expects more says which goals conflict. */
  maximumViolationMinutes: z.number().nonnegative().optional(),
  /** Demand is provided for up to this quantile of its forecast. */
  sizingQuantile: z.number().gt(0).lt(1).default(0.95),
  /** Capacity of the own hosts behind the gateway. */
  privateCpuCores: z.number().nonnegative().default(16),
  privateMemory: sizeSetting.prefault('64GiB'),
  /** Instance of the price book that is rented when the own hosts do not suffice. */
  instance: z.string().default('m5.large'),
  /** An instance that was started is kept at least this long: starts cost, and demand that fell comes back. */
  instanceHold: durationSetting.prefault('1h'),
  /** From the decision to rent an instance until it does its work. */
  instanceLead: durationSetting.prefault('15m'),
});

/** The whole configuration of a gateway; `{}` parses to the embedded defaults. */
export const gatewayConfig = z.strictObject({
  gateway: z
    .string()
    .regex(/^[a-zA-Z0-9][\w.-]{0,62}$/, 'letters, digits, dots, dashes and underscores')
    .default('tidegate'),
  dataDirectory: z.string().min(1).default('/var/lib/tidegate'),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  links: z.array(linkConfig).default([]),
  capture: captureConfig.prefault({}),
  store: storeConfig.prefault({}),
  usage: usageConfig.prefault({}),
  ipfix: ipfixConfig.prefault({}),
  cycle: cycleConfig.prefault({}),
  forecast: forecastConfig.prefault({}),
  fingerprint: fingerprintConfig.prefault({}),
  plan: planConfig.prefault({}),
  actuate: actuateConfig.prefault({}),
  api: apiConfig.prefault({}),
  lab: labConfig.prefault({}),
});

export type GatewayConfig = z.infer<typeof gatewayConfig>;
export type LinkConfig = GatewayConfig['links'][number];
