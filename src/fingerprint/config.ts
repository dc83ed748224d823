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
  /**
   * Labels of hosts by address or prefix, as one's own inventory or Kubernetes has them, e.g.
   * `10.42.3.0/24: { namespace: shop, app: api }`. Of several prefixes the longest says what a label is.
   */
  hostLabels: z
    .record(
      z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]),
      z.record(z.string().min(1), z.string().min(1)),
    )
    .default({}),
  /** Labels of pods by their addresses, read from a cluster: they come before `hostLabels`. Absent = no cluster is asked. */
  kubernetes: z
    .strictObject({
      /** Default: $KUBECONFIG, ~/.kube/config, or the service account of the pod. */
      kubeconfig: z.string().min(1).optional(),
      context: z.string().min(1).optional(),
      /** Only pods with these labels, as Kubernetes writes it: `app in (web, api)`. */
      labelSelector: z.string().min(1).optional(),
      /** How often pods are read. In ms after parsing. */
      every: durationSetting.prefault('30s'),
    })
    .optional(),
  /** Names by rule: the first that matches gives the endpoint's workload. */
  rules: z
    .array(
      z.strictObject({
        /** `{app}` stands for the host's label `app`: one rule names all services of a cluster. */
        name: z.string().min(1),
        /** Labels that the host must have; `*` = any value. */
        labels: z.record(z.string().min(1), z.string().min(1)).optional(),
        /** e.g. `10.1.0.0/16` or `fd00::/8`. */
        cidr: z.union([z.cidrv4(), z.cidrv6()]).optional(),
        /** SNI or HTTP host that clients ask for; `*.example.com` = every name below it. */
        serverName: z
          .string()
          .regex(
            /^(\*\.)?[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*$/,
            'a host name, `*.` in front = all names below it',
          )
          .optional(),
        port: z.int().min(1).max(65535).optional(),
        protocol: z.enum(['tcp', 'udp', 'icmp', 'sctp']).optional(),
      }),
    )
    .default([]),
});

export type FingerprintConfig = z.infer<typeof fingerprintConfig>;
export type WorkloadRule = FingerprintConfig['rules'][number];
