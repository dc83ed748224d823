import { z } from 'zod';
import { parseDurationMs, parseSizeBytes } from '../base/units.js';

const checked =
  (parse: (text: string | number) => number) =>
  (text: string | number, context: z.RefinementCtx): number => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  };
const duration = z.union([z.string(), z.number()]).transform(checked(parseDurationMs));
const size = z.union([z.string(), z.number()]).transform(checked(parseSizeBytes));
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
  /** A flow silent for so long ends. In ms after parsing. */
  idleTimeout: duration.prefault('15s'),
  /** A longer flow is reported at least this often. In ms after parsing. */
  activeTimeout: duration.prefault('60s'),
  /** Kernel flow cache entries per CPU (256 B each). */
  cacheEntries: z
    .int()
    .min(64)
    .max(2 ** 20)
    .refine(isPowerOfTwo, 'must be a power of two')
    .default(4096),
  /** Ring buffer per CPU, in bytes after parsing. */
  ring: size
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
  /** A batch of records that is not full is handed on after so long. In ms after parsing. */
  batchAge: duration.prefault('250ms'),
});

export type CaptureConfig = z.infer<typeof captureConfig>;
