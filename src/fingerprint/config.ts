import { z } from 'zod';
import { durationSetting } from '../base/settings.js';

const similarity = z.number().min(-1).max(1);

/** How traffic becomes workloads; `{}` gives the defaults. */
export const fingerprintConfig = z.strictObject({
  /** An encoder trained on one's own traffic; absent = the one that ships with Tidegate. */
  model: z.string().min(1).optional(),
  /** Similarity from which a new endpoint joins a workload on the same port and protocol. */
  joinSamePort: similarity.default(0.5),
  /** The same for a workload known on other ports: only near-identical behaviour. */
  joinOtherPort: similarity.default(0.93),
  /** Workloads are compared with each other, and merged, this often. In ms after parsing. */
  mergeEvery: durationSetting.prefault('60s'),
  /** A workload silent for longer that is seen again is reported as returned. In ms after parsing. */
  returnAfter: durationSetting.prefault('24h'),
  /** Endpoints remembered; the longest silent ones are forgotten first. */
  maxEndpoints: z.int().min(16).max(10_000_000).default(200_000),
  /** Workloads at most; beyond it an endpoint joins the nearest. */
  maxWorkloads: z.int().min(1).max(1_000_000).default(4096),
  /** Names by rule: the first that matches gives the endpoint's workload. */
  rules: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        /** e.g. `10.1.0.0/16` or `fd00::/8`. */
        cidr: z.union([z.cidrv4(), z.cidrv6()]).optional(),
        port: z.int().min(1).max(65535).optional(),
        protocol: z.enum(['tcp', 'udp', 'icmp', 'sctp']).optional(),
      }),
    )
    .default([]),
});

export type FingerprintConfig = z.infer<typeof fingerprintConfig>;
export type WorkloadRule = FingerprintConfig['rules'][number];
