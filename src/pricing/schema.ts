import { z } from 'zod';

const price = z.number().nonnegative('a price cannot be negative');
const text = z.string().min(1);
const timeZone = z.string().refine((zone) => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}, 'is not a time zone; write it like Europe/Vienna');

const sourced = {
  description: z.string(),
  /** Where the price was read, and when. */
  source: text,
  date: z.union([z.string(), z.date()]).transform(String),
  provider: text.optional(),
  region: text.optional(),
  /** Amounts are dollars; another currency is refused rather than added up as if it were one. */
  currency: z
    .literal('USD', 'only USD can be added up; convert the prices and say so in source')
    .default('USD'),
};

/** Tiers of a monthly volume, cheapest start first: each ends where the next begins, the last has no end. */
const tiers = z
  .array(z.strictObject({ upToGb: z.number().positive().optional(), usdPerGb: price }))
  .min(1)
  .superRefine((list, context) => {
    for (const [i, tier] of list.entries()) {
      const last = i === list.length - 1;
      if (last !== (tier.upToGb === undefined)) {
        const message = 'every tier but the last needs upToGb, and the last has none: there would be a gap';
        context.addIssue({ code: 'custom', path: [i], message });
      } else if (i > 0 && tier.upToGb !== undefined && tier.upToGb <= (list[i - 1]!.upToGb ?? 0)) {
        context.addIssue({ code: 'custom', path: [i], message: 'tiers must grow' });
      }
    }
  });

/** Burstable billing: the 95th percentile of five-minute rates in a month of the contract's time zone. */
const burstable = z.strictObject({
  percentile: z.number().min(50).max(100).default(95),
  /** What is measured: the larger of both directions' percentiles, the percentile of their sum, or out alone. */
  rule: z.enum(['max', 'sum', 'out']).default('max'),
  sampleMinutes: z.number().positive().default(5),
  commitMbps: z.number().nonnegative().default(0),
  usdPerMbpsMonth: price,
  /** Above the commit; absent = the same price. */
  overageUsdPerMbpsMonth: price.optional(),
  /** Billed rates are rounded up to whole units of this. */
  roundUpMbps: z.number().nonnegative().default(1),
  timeZone: timeZone.default('UTC'),
});

/** A circuit that comes in steps only. */
const circuit = z.strictObject({
  steps: z
    .array(z.strictObject({ mbps: z.number().positive(), usdPerMonth: price }))
    .min(1)
    .refine(
      (list) => list.every((step, i) => i === 0 || step.mbps > list[i - 1]!.mbps),
      'steps must grow in Mbit/s',
    ),
  leadHours: z.number().nonnegative().default(0),
  minimumHoldHours: z.number().nonnegative().default(0),
  coolDownHours: z.number().nonnegative().default(0),
});

export const tariffSchema = z.strictObject({
  tariffId: text,
  ...sourced,
  destination: text.optional(),
  portHourUsd: price.default(0),
  /** A fixed monthly fee. */
  monthUsd: price.default(0),
  freeGbPerMonth: z.number().nonnegative().default(0),
  egress: tiers,
  /** Per gigabyte received. */
  ingressUsdPerGb: price.default(0),
  /** Per gigabyte in either direction, beside egress: NAT, load balancer, inter-zone. */
  processedUsdPerGb: price.default(0),
  /** A monthly spend that is owed whether it is used or not; volume counts against it. */
  commitUsdPerMonth: price.default(0),
  burstable: burstable.optional(),
  circuit: circuit.optional(),
});

export const instanceSchema = z.strictObject({
  instanceId: text,
  ...sourced,
  cpuCores: z.number().positive(),
  memoryGiB: z.number().positive(),
  usdPerHour: price,
  /** Per hour when reserved for a year, or bought from spare capacity. */
  reservedUsdPerHour: price.optional(),
  spotUsdPerHour: price.optional(),
  /** Chance that a spot instance is taken back within an hour. */
  spotInterruptionPerHour: z.number().min(0).max(1).optional(),
});

const unique = <Item>(list: readonly Item[], idOf: (item: Item) => string): boolean =>
  new Set(list.map(idOf)).size === list.length;

export const bookSchema = z.strictObject({
  version: z.literal(1),
  tariffs: z
    .array(tariffSchema)
    .refine((list) => unique(list, (t) => t.tariffId), 'a tariffId is used twice'),
  instances: z
    .array(instanceSchema)
    .refine((list) => unique(list, (i) => i.instanceId), 'an instanceId is used twice'),
});

/** A tariff with its defaults. @throws what zod says of one that is wrong */
export const tariffOf = (settings: TariffSettings): Tariff => tariffSchema.parse(settings);

export type Tariff = z.output<typeof tariffSchema>;
export type TariffSettings = z.input<typeof tariffSchema>;
export type Instance = z.output<typeof instanceSchema>;
export type InstanceSettings = z.input<typeof instanceSchema>;
export type Burstable = z.output<typeof burstable>;
export type Circuit = z.output<typeof circuit>;
