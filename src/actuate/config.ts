import { z } from 'zod';
import { CAPABILITY_NAMES } from '../base/capabilities.js';
import { durationSetting, sizeSetting } from '../base/settings.js';

const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'expected a time such as "22:30"');

/** What may be done to the world, by whom, and when it is undone. `{}` = dry-run, recommendations only. */
export const actuateConfig = z.strictObject({
  mode: z.enum(['observe', 'recommend', 'approve', 'automatic']).default('recommend'),
  /** In the order in which they act. */
  actuators: z
    .array(z.enum(['dry-run', 'steer', 'route', 'htb', 'webhook', 'exec', 'kubernetes', 'aws']))
    .default(['dry-run']),
  maxChangesPerHour: z.int().positive().default(120),
  /** Largest part of a workload's new flows that one plan may move, 0..1. */
  maxShareMoved: z.number().min(0).max(1).default(1),
  /** Daily windows, UTC, in which nothing is applied. */
  blackout: z.array(z.strictObject({ from: clock, until: clock })).default([]),
  /** Names of workloads that never move. */
  pinned: z.array(z.string()).default([]),
  steer: z
    .strictObject({
      /** Without a sign of life from the gateway for so long the routing table decides again; absent = steer on. */
      deadman: durationSetting.optional(),
      /** Names of workloads whose flows in progress move with the new ones. */
      mayMove: z.array(z.string()).default([]),
    })
    .prefault({}),
  /** Replace root qdiscs that somebody else configured. */
  replaceQdisc: z.boolean().default(false),
  webhook: z
    .strictObject({
      url: z.url(),
      secret: z.string().min(16, 'at least 16 characters'),
      timeout: durationSetting.prefault('10s'),
      retries: z.int().min(0).max(10).default(4),
    })
    .optional(),
  exec: z
    .strictObject({
      command: z.tuple([z.string()], z.string()),
      timeout: durationSetting.prefault('30s'),
      /** Capabilities that the program needs; all others are given up once metering runs. */
      capabilities: z.array(z.enum(CAPABILITY_NAMES)).default([]),
    })
    .optional(),
  kubernetes: z
    .strictObject({
      kubeconfig: z.string().optional(),
      context: z.string().optional(),
      workloads: z.array(
        z.strictObject({
          workload: z.string(),
          kind: z.enum(['Deployment', 'StatefulSet']).default('Deployment'),
          namespace: z.string().default('default'),
          name: z.string(),
          coresPerReplica: z.number().positive().optional(),
          minReplicas: z.int().min(0).default(1),
          maxReplicas: z.int().positive().default(100),
          container: z.string().optional(),
        }),
      ),
    })
    .optional(),
  aws: z
    .strictObject({
      region: z.string(),
      endpoint: z.url().optional(),
      groups: z.array(
        z.strictObject({
          pool: z.string(),
          group: z.string(),
          coresPerInstance: z.number().positive(),
          memoryPerInstance: sizeSetting,
        }),
      ),
    })
    .optional(),
  /** What acts without waiting for the next plan: rates above the forecast on a link that is full. */
  surge: z
    .strictObject({
      /** In mode "approve", its moves are approved beforehand; "automatic" needs no approval, other modes never move. */
      approved: z.boolean().default(false),
      /** A link counts as full above this part of its capacity. */
      fullAt: z.number().positive().max(1).default(0.85),
      /** Looks in a row before it acts. */
      consecutive: z.int().positive().default(3),
      every: durationSetting.prefault('125ms'),
    })
    .prefault({}),
  guard: z
    .strictObject({
      lossRatio: z.number().min(0).max(1).default(0.01),
      queueDrops: z.int().min(0).default(100),
      rtt: durationSetting.prefault('500ms'),
      utilisation: z.number().positive().default(0.98),
      consecutive: z.int().positive().default(3),
      /** Asked every second; an answer other than 2xx, or none, is a breach. */
      probes: z
        .array(z.strictObject({ name: z.string(), url: z.url(), timeout: durationSetting.prefault('2s') }))
        .default([]),
      watch: durationSetting.prefault('10m'),
      holdOff: durationSetting.prefault('1m'),
      maxHoldOff: durationSetting.prefault('1h'),
    })
    .prefault({}),
});

export type ActuateConfig = z.infer<typeof actuateConfig>;
