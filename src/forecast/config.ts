import { z } from 'zod';
import { MODEL_NAMES } from './models.js';

const moment = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

const ruleShape = {
  name: z.string().min(1),
  /** Its first beginning and end, like 2026-12-24T00:00:00Z. */
  from: moment,
  until: moment,
  /** How it comes back; `monthEnd` = on the last day of every month. Absent = once. */
  every: z.enum(['day', 'week', 'month', 'monthEnd', 'year']).optional(),
  /** Only for workloads whose name contains this; absent = for all. */
  workload: z.string().optional(),
};
const ends = (rule: { readonly from: number; readonly until: number }): boolean => rule.until > rule.from;
const ENDS = { message: 'until must be after from', path: ['until'] };

/** Times that are not like others: holidays, maintenance windows, month ends, launches. */
const calendarConfig = z.array(
  z
    .strictObject({
      ...ruleShape,
      /** What it does to traffic, 0.2 = a fifth; absent = learnt from earlier ones of the name. */
      multiply: z.number().nonnegative().optional(),
    })
    .refine(ends, ENDS),
);

/** Known numbers that the model `prophet` regresses on: `value` from..until, 0 else; rules of one name add up. */
const regressorsConfig = z.array(
  z.strictObject({ ...ruleShape, value: z.number().default(1) }).refine(ends, ENDS),
);

/** What the member `prophet` is told, by Prophet's own names. */
const prophetConfig = z
  .strictObject({
    growth: z.enum(['linear', 'logistic', 'flat']).optional(),
    cap: z.number().optional(),
    floor: z.number().optional(),
    changepointPriorScale: z.number().positive().optional(),
    seasonalityMode: z.enum(['additive', 'multiplicative']).optional(),
  })
  .refine(({ growth, cap }) => growth !== 'logistic' || cap !== undefined, {
    message: 'logistic growth needs a cap',
    path: ['cap'],
  });

const modelName = z.string().refine((name) => MODEL_NAMES.includes(name), {
  error: (issue) => `"${issue.input}" is none of the models ${MODEL_NAMES.join(', ')}`,
});

/** How forecasts are made. */
export const forecastConfig = z.strictObject({
  /** Models, `recipe` for all of the recipe's; absent = those, chosen by their errors. */
  models: z.array(modelName).min(1).optional(),
  /** Holidays, maintenance windows, month ends and other events; holidays to the model `prophet`. */
  calendar: calendarConfig.default([]),
  regressors: regressorsConfig.default([]),
  /** What the model `prophet` is told. */
  prophet: prophetConfig.optional(),
});
