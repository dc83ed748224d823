import { z } from 'zod';
import { durationSetting, sizeSetting } from '../base/settings.js';
import { decodersConfig, headerRulesConfig } from './application-config.js';
import { DEFAULT_SIZE_EDGES } from './meter-options.js';

const isPowerOfTwo = (n: number): boolean => Number.isInteger(Math.log2(n));

/** Settings of the packet sources; `{}` gives the defaults. */
export const captureConfig = z.strictObject({
  /** NICs to meter; empty = none named yet. */
  interfaces: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(15),
        /** Path of a network namespace, e.g. /run/netns/gateway; absent = our own. */
        netns: z.string().min(1).optional(),
      }),
    )
    .default([]),
  /** `auto` tries native XDP and falls back to generic with the reason. */
  mode: z.enum(['auto', 'native', 'generic']).default('auto'),
  /**
   * What to do where an XDP program of others is on an interface already: `refuse` to start, or meter by `tc` behind it
   * what it lets pass (not what it drops or redirects; such an interface is not steered). It is never replaced.
   */
  coexist: z.enum(['refuse', 'tc']).default('refuse'),
  /** Also meter what the gateway itself sends (tc egress); what it forwards is metered where it came in. */
  egress: z.boolean().default(false),
  /** A flow silent for so long ends. In ms after parsing. */
  idleTimeout: durationSetting.prefault('15s'),
  /** A longer flow is reported at least this often. In ms after parsing. */
  activeTimeout: durationSetting.prefault('60s'),
  /** Kernel flow cache entries per CPU (256 B each). */
  cacheEntries: z
    .int()
    .min(64)
    .max(2 ** 20)
    .refine(isPowerOfTwo, 'must be a power of two')
    .default(4096),
  /** Ring buffer per CPU, in bytes after parsing. */
  ring: sizeSetting
    .pipe(
      z
        .number()
        .min(4096)
        .max(2 ** 30)
        .refine(isPowerOfTwo, 'must be a power of two of at least 4KiB'),
    )
    .prefault('8MiB'),
  /** Flows held at once in user space; more are folded into per-prefix aggregates. */
  maxFlows: z.int().min(1024).max(100_000_000).default(1_000_000),
  /** Upper edges (exclusive) of the packet size bins, in octets of IP length: rising multiples of 16. */
  sizeEdges: z
    .array(z.int().min(16).max(2032).multipleOf(16))
    .min(1)
    .max(15)
    .refine((edges) => edges.every((edge, i) => i === 0 || edge > edges[i - 1]!), 'must rise')
    .default([...DEFAULT_SIZE_EDGES]),
  /** Tunnels whose inner packet is the flow; all others are metered by their outer addresses. */
  tunnels: z.array(z.enum(['vxlan', 'geneve', 'gtpu', 'gre', 'ip'])).default([]),
  /** First payload octets kept per direction; 0 keeps none. */
  payloadHeadBytes: z.int().min(0).max(16).default(0),
  /** Which protocols' first messages are read for names; each is off by default. */
  decoders: decodersConfig.prefault({}),
  /** Header fields of applications to be carried with their flows: octets at fixed places of first payloads. */
  headerRules: headerRulesConfig.default([]),
  /** What becomes of addresses, and of names that decoders find, before records leave the flow table, and so before anything is stored. */
  addresses: z
    .discriminatedUnion('mode', [
      z.strictObject({ mode: z.literal('plain') }),
      z.strictObject({
        mode: z.literal('truncate'),
        /** Bits that stay. */
        ipv4Prefix: z.int().min(0).max(32).default(24),
        ipv6Prefix: z.int().min(0).max(128).default(48),
      }),
      /** Pseudonyms with the prefixes of the addresses; the key is a file of at least 16 octets. */
      z.strictObject({ mode: z.literal('pseudonym'), keyFile: z.string().min(1) }),
    ])
    .default({ mode: 'plain' }),
  /**
   * Whether programs, maps and links are pinned under /sys/fs/bpf/tidegate/GATEWAY, so that metering goes on when the
   * gateway is killed and the next process takes everything over. `tidegate detach` removes the pins.
   */
  pin: z.boolean().default(true),
  /** A batch of records that is not full is handed on after so long. In ms after parsing. */
  batchAge: durationSetting.prefault('250ms'),
});

export type CaptureConfig = z.infer<typeof captureConfig>;
