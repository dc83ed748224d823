import { z } from 'zod';
import { parseDurationMs } from '../base/units.js';
import type { GatewayStatus } from '../pipeline/status.js';

const LATEST_MS = Date.UTC(2100, 0, 1);

/** Moments as callers write them: `now`, `1h` (ago), Unix time in ms, or RFC 3339. Unix time in ms after parsing. */
export const moment = z
  .string()
  .max(40)
  .describe('`now`, a duration ago such as `1h`, Unix time in ms, or RFC 3339')
  .transform((text, context): number => {
    const ms = momentMs(text);
    if (!Number.isFinite(ms) || ms < 0 || ms > LATEST_MS) {
      context.addIssue({
        code: 'custom',
        message: `"${text}" is no moment; write it like now, 1h, 1760000000000 or 2026-10-09T08:00:00Z`,
      });
      return z.NEVER;
    }
    return Math.round(ms);
  });

function momentMs(text: string): number {
  if (text === 'now') return Date.now();
  if (/^\d{11,}$/.test(text)) return Number(text);
  if (/^\d{4}-\d\d-\d\d/.test(text)) return Date.parse(text);
  try {
    return Date.now() - parseDurationMs(text);
  } catch {
    return Number.NaN;
  }
}

/** One line of text for people or of a name: no control characters. */
export const plainText = (maximum: number) =>
  z
    .string()
    .max(maximum)
    .regex(/^[^\x00-\x1f\x7f]*$/, 'control characters are not allowed');

/** A whole number in a query string or path. */
export const wholeNumber = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, 'expected a whole number')
    .transform(Number)
    .pipe(z.int().min(minimum).max(maximum));

export const workloadNumber = wholeNumber(0, 0xffff_ffff).describe('number of a workload');

/** Comma-separated values; empty = none. */
export const listOf = (item: z.ZodType<string, string>) =>
  z
    .string()
    .max(2000)
    .transform((text) => (text === '' ? [] : text.split(',').map((part) => part.trim())))
    .pipe(z.array(item).max(100));

export const timeRange = {
  from: moment.prefault('1h').describe('begin of the range: a duration ago such as `1h`, Unix ms, RFC 3339'),
  until: moment.prefault('now').describe('end of the range'),
};

/** The statements behind the numbers of an answer, each as it can be run; empty = counters of the gateway itself. */
export const sqlBehind = z
  .array(z.string())
  .describe(
    'the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself',
  );

export const errorAnswer = z
  .object({ code: z.string(), message: z.string(), hint: z.string() })
  .describe('what happened and what to do');

const numbers = z.array(z.number());

export const lossCount = z.object({
  stage: z.string(),
  reason: z.string(),
  packets: z.number(),
  octets: z.number(),
});

export const packetBalance = z
  .object({
    seen: z.number(),
    stored: z.number().describe('in records that the store acknowledged'),
    resident: z.number(),
    residentBy: z.record(z.string(), z.number()),
    lost: z.number(),
    lostBy: z.array(lossCount),
    difference: z.number().describe('seen − stored − resident − lost: 0 at a quiet moment'),
  })
  .describe('every packet is somewhere');

export const gatewayStatus = z.object({
  gateway: z.string(),
  mode: z.enum(['lab', 'observe', 'replay']),
  startedMs: z.number(),
  nowMs: z.number(),
  interfaces: z.array(
    z.object({
      name: z.string(),
      index: z.number(),
      mode: z.enum(['native', 'generic', 'tc', 'off']),
      reason: z.string().optional(),
      rxPackets: z.number(),
      rxOctets: z.number(),
      linkId: z.string(),
    }),
  ),
  packets: packetBalance,
  rate: z.object({ packetsPerSecond: z.number(), bitsPerSecond: z.number() }),
  flows: z.object({ active: z.number(), records: z.number() }),
  records: z.object({ written: z.number() }),
  workloads: z.array(
    z.object({ workloadId: z.number(), name: z.string(), rateBps: z.number(), flows: z.number() }),
  ),
  forecasts: z.number(),
  plan: z
    .object({
      id: z.string(),
      costUsd: z.number(),
      doNothingUsd: z.number(),
      createdMs: z.number(),
      next: z.object({ atMs: z.number(), words: z.string() }).nullable(),
    })
    .nullable(),
  store: z.object({ kind: z.string(), reachable: z.boolean(), spoolBytes: z.number() }),
  warnings: z.array(z.string()),
});

/** The gateway's state as an answer: what components hold read-only is copied. */
export const statusAnswer = (status: GatewayStatus): z.output<typeof gatewayStatus> => ({
  ...status,
  interfaces: [...status.interfaces],
  packets: balanceAnswer(status.packets),
  workloads: [...status.workloads],
  warnings: [...status.warnings],
});

export const balanceAnswer = (packets: GatewayStatus['packets']): z.output<typeof packetBalance> => ({
  ...packets,
  residentBy: { ...packets.residentBy },
  lostBy: [...packets.lostBy],
});

/** A path of values at regular steps. */
export const path = z.object({
  startMs: z.number(),
  stepMs: z.number(),
  values: numbers,
});

export const forecastPath = z.object({
  createdMs: z.number(),
  startMs: z.number(),
  stepMs: z.number(),
  median: numbers,
  levels: numbers.describe('levels of the quantiles, 0..1'),
  quantiles: z.array(numbers).describe('one path a level'),
});

const allocation = z.object({
  workloadId: z.number(),
  resource: z.enum(['bandwidth', 'cpu', 'memory']),
  target: z.string(),
  fromMs: z.number(),
  untilMs: z.number(),
  amount: z.number().describe('bit/s, cores or bytes'),
});

const planLink = z.object({
  linkId: z.string(),
  network: z.enum(['private', 'public']),
  capacityBps: z.number(),
  usdPerGb: z.number(),
  portHourUsd: z.number(),
  healthy: z.boolean(),
  latencyMs: z.number().optional(),
  tariffId: z.string().optional(),
});

export const planSchema = z.object({
  id: z.string(),
  gateway: z.string(),
  createdMs: z.number(),
  expiresMs: z.number(),
  periods: z.array(z.object({ startMs: z.number(), durationMs: z.number() })),
  allocations: z.array(allocation),
  instances: z.array(
    z.object({ instanceId: z.string(), fromMs: z.number(), untilMs: z.number(), count: z.number() }),
  ),
  costUsd: z.number(),
  doNothingUsd: z.number(),
  expectedViolationMinutes: z.number(),
  doNothingViolationMinutes: z.number(),
  binding: z.array(
    z.object({ constraint: z.string(), shadowUsdPerGbps: z.number().optional(), words: z.string() }),
  ),
  reasons: z.array(z.object({ workloadId: z.number(), words: z.string() })),
  inputs: z
    .object({
      sha256: z.string(),
      forecastMs: z.number().nullable(),
      links: z.array(planLink),
      workloads: z.number(),
    })
    .optional(),
  costInterval: z.object({ lowUsd: z.number(), highUsd: z.number() }).optional(),
  conflicts: z.array(z.string()).optional(),
  purchase: z
    .object({
      kind: z.enum(['on-demand', 'spot']),
      words: z.string(),
      reserve: z.string().optional(),
      rule: z.string().optional(),
    })
    .optional()
    .describe('how instances are bought, what reserving would save, and the rule for the first period'),
  circuits: z
    .array(
      z.object({
        linkId: z.string(),
        mbps: z.number(),
        fromMs: z.number(),
        changes: z.boolean(),
        words: z.string(),
      }),
    )
    .optional()
    .describe('what to lease where capacity comes in steps'),
  runningSinceMs: z
    .array(z.number())
    .optional()
    .describe('when each instance that ran when the plan was made had been started'),
  solver: z.object({ status: z.string(), classes: z.number() }),
});
