import { z } from 'zod';
import type { PlanInput } from './types.js';

const notNegative = (what: string) => z.number(`${what} is missing`).nonnegative(`${what} is negative`);
const positive = (what: string) => z.number(`${what} is missing`).positive(`${what} must be above 0`);
const moment = z.number();
const demand = z.array(z.number());

const burst = z.object({
  levelBps: notNegative('the level'),
  freeSamples: notNegative('the number of free samples'),
  sampleMs: positive('a sample'),
  usdPerMbps: notNegative('the price'),
});

const circuit = z.object({
  steps: z
    .array(z.object({ mbps: positive('a step'), usdPerMonth: notNegative('the price of a step') }))
    .min(1),
  leadHours: notNegative('the lead time'),
  minimumHoldHours: notNegative('the hold'),
  coolDownHours: notNegative('the cool-down'),
  currentMbps: notNegative('the present step'),
  sinceMs: moment.optional(),
});

const link = z.object({
  linkId: z.string().min(1),
  network: z.enum(['private', 'public']),
  capacityBps: notNegative('the capacity'),
  usdPerGb: notNegative('the price of a gigabyte'),
  portHourUsd: notNegative('the price of a port-hour'),
  healthy: z.boolean(),
  latencyMs: notNegative('the latency').optional(),
  tariffId: z.string().optional(),
  burst: burst.optional(),
  circuit: circuit.optional(),
});

const workload = z.object({
  workloadId: z.number(),
  name: z.string(),
  medianBps: demand,
  peakBps: demand,
  cpuCores: demand,
  memoryBytes: demand,
  currentShares: z.record(z.string(), notNegative('a share')).default({}),
  pinnedTo: z.string().optional(),
  latencyBoundMs: positive('a latency bound').optional(),
  deferrableMs: notNegative('the deferral').optional(),
  splittable: z.boolean().optional(),
});

const instance = z.object({
  instanceId: z.string().min(1),
  cpuCores: positive('the number of cores'),
  memoryBytes: positive('the memory'),
  usdPerHour: notNegative('the price of an hour'),
  spot: z
    .object({
      usdPerHour: notNegative('the price of an hour'),
      interruptionPerHour: z.number().min(0).max(1, 'the chance of an interruption is at most 1'),
    })
    .optional(),
  reservedUsdPerHour: notNegative('the price of an hour').optional(),
  replacementMinutes: notNegative('the time of a replacement').optional(),
  holdMs: notNegative('the hold').optional(),
  leadMs: notNegative('the lead time').optional(),
  runningSinceMs: z.array(moment).optional(),
  ruled: z.object({ count: z.number().int().nonnegative(), words: z.string() }).optional(),
});

/** What a person or a program may ask to plan for: {@link PlanInput}, its numbers checked one by one. */
const planInputSchema = z.object({
  gateway: z.string().default('none'),
  nowMs: moment,
  periods: z.array(z.object({ startMs: moment, durationMs: positive('the length of a period') })),
  workloads: z.array(workload),
  links: z.array(link),
  hosts: z.object({
    privateCpuCores: notNegative('the number of own cores'),
    privateMemoryBytes: notNegative('the own memory'),
    instance,
  }),
  goals: z.object({
    maximumUtilisation: positive('the utilisation').max(1, 'the utilisation is at most 1'),
    violationUsdPerMinute: notNegative('the price of a violation minute'),
    maximumViolationMinutes: notNegative('the number of violation minutes').optional(),
  }),
  expiresMs: moment,
  forecastMs: moment.optional(),
});

/** @returns the input, or what is wrong with it: the place and why */
export function parsePlanInput(json: unknown): { readonly input: PlanInput } | { readonly problem: string } {
  const result = planInputSchema.safeParse(json);
  // What comes from JSON is absent or there, never undefined.
  if (result.success) return { input: result.data as PlanInput };
  const issue = result.error.issues[0]!;
  return { problem: `${issue.path.join('.') || 'it'}: ${issue.message}` };
}
