import { isIP } from 'node:net';
import { z } from 'zod';
import { durationSetting, sizeSetting } from '../base/settings.js';

/** What a caller may do: look, or also change. */
export const ROLES = ['read', 'operate'] as const;
export type Role = (typeof ROLES)[number];

/** `127.0.0.1:7180`, `[::1]:7180`, `0.0.0.0:443` → address and port. */
const listenAddress = z.string().transform((text, context): { host: string; port: number } => {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || !(port <= 65_535)) {
    context.addIssue({
      code: 'custom',
      message: `expected an address and a port such as "127.0.0.1:7180" or "[::1]:7180", got "${text}"`,
    });
    return z.NEVER;
  }
  return { host, port };
});

const tokenConfig = z.strictObject({
  /** Whose token it is; the audit names it. */
  name: z.string().min(1).max(64),
  role: z.enum(ROLES).default('read'),
  /** SHA-256 of the token, in hexadecimal: `tidegate token` makes both. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits'),
});

/** Who may ask the gateway, where, and how much; `{}` = the unix socket and loopback. */
export const apiConfig = z.strictObject({
  /** Addresses to listen on beside the unix socket; none = the socket only. */
  listen: z.array(listenAddress).prefault(['127.0.0.1:7180']),
  /** What callers from this host may do without a token. */
  loopbackRole: z.enum([...ROLES, 'none']).default('operate'),
  tokens: z.array(tokenConfig).default([]),
  /** Certificate and key in PEM files; needed for every address that is not loopback. */
  tls: z
    .strictObject({
      certificate: z.string().min(1),
      key: z.string().min(1),
    })
    .optional(),
  /** Serve other hosts without TLS: for a trusted proxy in front that has it. */
  allowPlaintext: z.boolean().default(false),
  /** Names by which browsers may reach the gateway, beside its addresses and `localhost`. */
  hosts: z.array(z.string().min(1)).default([]),
  /** Requests a caller may make in a minute. */
  requestsPerMinute: z.int().positive().default(1200),
  /** Largest body of a request. */
  bodyLimit: sizeSetting.prefault('64KiB'),
  /** Streams of `/api/events` that may be open at once. */
  maximumStreams: z.int().min(0).default(32),
  /** Statements that people write. */
  sql: z
    .strictObject({
      /** The store's user for them; absent = the embedded engine's reader, or the configured user, read-only. */
      user: z.string().optional(),
      password: z.string().default(''),
      timeout: durationSetting.prefault('10s'),
      maximumRows: z.int().positive().max(1_000_000).default(10_000),
      perMinute: z.int().positive().default(60),
    })
    .prefault({}),
});

export type ApiConfig = z.infer<typeof apiConfig>;
