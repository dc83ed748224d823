import { z } from 'zod';
import { durationSetting, rateSetting } from '../../base/settings.js';

const positive = (what: string) => z.number().positive(`${what} must be above 0`);
const price = z.number().nonnegative('a price cannot be negative');

/** What a simulation assumes of the world; `{}` is the published comparison. */
export const assumptionsSchema = z.strictObject({
  /** Demand is scaled so that its 99th percentile is this; 0 = taken as it is, in bit/s. */
  scaleP99Bps: rateSetting.prefault('3Gbit'),
  /** Private capacity: this quantile of the demand, unless `privateCapacity` names a rate. */
  privateQuantile: z.number().min(0).max(1).default(0.55),
  privateCapacityBps: rateSetting.optional(),
  machine: z
    .strictObject({
      capacityBps: rateSetting.prefault('200Mbit'),
      usdPerHour: price.default(0.17),
      startUsd: price.default(0.01),
    })
    .prefault({}),
  egressUsdPerGb: price.default(0.05),
  /** From a decision until its machines carry traffic. */
  leadMs: durationSetting.prefault('15m'),
  /** A machine that was started runs at least this long. */
  holdMs: durationSetting.prefault('1h'),
  /** The last part of the series is simulated; what precedes it is history. */
  testMs: durationSetting.prefault('12d'),
  /** Share of intervals in which demand may find no room, percent. */
  maximumViolationPercent: positive('maximumViolationPercent').max(100).default(0.1),
  /** When given, violations are priced instead of limited. */
  violationUsdPerMinute: price.optional(),
});

export type Assumptions = z.output<typeof assumptionsSchema>;
export type AssumptionSettings = z.input<typeof assumptionsSchema>;
