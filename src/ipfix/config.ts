import { z } from 'zod';
import { durationSetting } from '../base/settings.js';
import { EXAMPLE_ENTERPRISE } from './elements.js';

/** Where flow records go besides the store; without a collector nowhere. */
export const ipfixConfig = z.strictObject({
  /** Host and port of a collector, e.g. `192.0.2.9:4739`. */
  collector: z
    .string()
    .regex(/^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):\d{1,5}$/, 'expected host:port such as "192.0.2.9:4739"')
    .optional(),
  transport: z.enum(['udp', 'tcp']).default('udp'),
  observationDomainId: z.int().min(0).max(0xffff_ffff).default(1),
  /** Private enterprise number of histograms, workloads and fingerprints; the default is the one for examples. */
  enterprise: z.int().min(1).max(0xffff_ffff).default(EXAMPLE_ENTERPRISE),
  /** Leave out what IANA has no element for. */
  standardOnly: z.boolean().default(false),
  /** Over UDP templates are sent again so often (RFC 7011, 8.4). */
  templatesEvery: durationSetting.prefault('60s'),
  /** Largest datagram. */
  messageOctets: z.int().min(1000).max(65_000).default(1400),
});

export type IpfixConfig = z.infer<typeof ipfixConfig>;
