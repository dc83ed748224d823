import { z } from 'zod';

const moment = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

/** Times that are not like others: holidays, maintenance windows, month ends, launches. */
export const calendarConfig = z.array(
  z
    .strictObject({
      name: z.string().min(1),
      /** Its first beginning and end, like 2026-12-24T00:00:00Z. */
      from: moment,
      until: moment,
      /** How it comes back; `monthEnd` = on the last day of every month. Absent = once. */
      every: z.enum(['day', 'week', 'month', 'monthEnd', 'year']).optional(),
      /** What it does to traffic, 0.2 = a fifth; absent = learnt from earlier ones of the name. */
      multiply: z.number().nonnegative().optional(),
      /** Only for workloads whose name contains this; absent = for all. */
      workload: z.string().optional(),
    })
    .refine((rule) => rule.until > rule.from, { message: 'until must be after from', path: ['until'] }),
);

/** What the member `prophet` is told, by Prophet's own names. */
export const prophetConfig = z.strictObject({
  growth: z.enum(['linear', 'logistic', 'flat']).optional(),
  cap: z.number().optional(),
  floor: z.number().optional(),
  changepointPriorScale: z.number().positive().optional(),
  seasonalityMode: z.enum(['additive', 'multiplicative']).optional(),
});
