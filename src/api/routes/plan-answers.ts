import { z } from 'zod';
import type { PlanRefusal } from '../../actuate/index.js';
import type { Plan } from '../../plan/index.js';
import type { ApiDependencies } from '../dependencies.js';
import { apiError } from '../errors.js';
import type { Evidence } from '../evidence.js';
import { planSchema, sqlBehind } from '../schemas.js';
import type { Services } from '../services.js';

export const planId = z
  .string()
  .regex(/^[0-9a-f]{6,64}$/, 'expected at least 6 hexadecimal digits of a plan id');

export const actuation = z
  .object({
    mode: z.string(),
    actuators: z.array(z.string()),
    followingPlanId: z.string().nullable().describe('the plan that is applied; null = none'),
    lastProblem: z.string().nullable(),
  })
  .describe('what is being done to the world');

export const state = z.object({
  state: z.enum(['applied', 'approved', 'open', 'expired']),
  approvedBy: z.string().nullable(),
  approvedMs: z.number().nullable(),
});

export const step = z.object({
  actuator: z.string(),
  action: z.string(),
  target: z.string(),
  words: z.string(),
});

export const refused = z
  .array(z.object({ actuator: z.string(), reason: z.string() }))
  .describe('what actuators cannot do of the plan, and why');

/** As {@link refused} has them. */
export const refusedWords = (refusals: readonly PlanRefusal[]): z.infer<typeof refused> =>
  refusals.map(({ actuator, allocation, reason }) => ({
    actuator,
    reason: `${allocation.workloadName}: ${reason}`,
  }));

export const whole = z.object({ plan: planSchema, ...state.shape, actuation, sql: sqlBehind });

/** How plans are found and answered with. */
export class PlanAnswers {
  readonly #dependencies: ApiDependencies;
  readonly #services: Services;

  constructor(dependencies: ApiDependencies, services: Services) {
    this.#dependencies = dependencies;
    this.#services = services;
  }

  stateOf(plan: Pick<Plan, 'id' | 'expiresMs'>): z.infer<z.ZodObject<typeof state.shape>> {
    const approval = this.#services.approvals.of(plan.id);
    const applied = this.#dependencies.plans.state.followingPlanId === plan.id;
    const expired = plan.expiresMs <= Date.now();
    return {
      state: applied ? 'applied' : expired ? 'expired' : approval ? 'approved' : 'open',
      approvedBy: approval?.by ?? null,
      approvedMs: approval?.atMs ?? null,
    };
  }

  actuation(): z.infer<typeof actuation> {
    const now = this.#dependencies.plans.state;
    return { ...now, actuators: [...now.actuators] };
  }

  answer(plan: Plan, evidence?: Evidence): z.output<typeof whole> {
    return {
      plan: structuredClone(plan) as z.output<typeof planSchema>,
      ...this.stateOf(plan),
      actuation: this.actuation(),
      sql: evidence?.statements ?? [],
    };
  }

  /** The newest plan whose id begins so. @throws TG_API_NO_PLAN, TG_PLAN_UNKNOWN, TG_PLAN_AMBIGUOUS */
  async newest(evidence: Evidence, id: string): Promise<Plan> {
    const [row] = await evidence.query<{ plan: string }>(
      `SELECT plan FROM plans WHERE gateway = {gateway:String} AND startsWith(planId, {id:String}) ORDER BY created DESC LIMIT 1`,
      { gateway: this.#dependencies.gateway, id },
    );
    if (row === undefined) {
      if (id === '') throw apiError('TG_API_NO_PLAN');
      return this.#dependencies.plans.find(id);
    }
    return JSON.parse(row.plan) as Plan;
  }
}
