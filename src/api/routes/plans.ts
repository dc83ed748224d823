import { z } from 'zod';
import { diffPlans, type Plan } from '../../plan/index.js';
import type { Caller } from '../access.js';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { apiError } from '../errors.js';
import { Evidence } from '../evidence.js';
import { plainText, planSchema, sqlBehind, wholeNumber } from '../schemas.js';
import type { Services } from '../services.js';
import { answers } from './answers.js';

const planId = z.string().regex(/^[0-9a-f]{6,64}$/, 'expected at least 6 hexadecimal digits of a plan id');

const actuation = z
  .object({
    mode: z.string(),
    actuators: z.array(z.string()),
    followingPlanId: z.string().nullable().describe('the plan that is applied; null = none'),
    lastProblem: z.string().nullable(),
  })
  .describe('what is being done to the world');

const state = z.object({
  state: z.enum(['applied', 'approved', 'open', 'expired']),
  approvedBy: z.string().nullable(),
  approvedMs: z.number().nullable(),
});

const step = z.object({
  actuator: z.string(),
  action: z.string(),
  target: z.string(),
  words: z.string(),
});

const whole = z.object({ plan: planSchema, ...state.shape, actuation, sql: sqlBehind });

/** `/api/plans…`: what the gateway would do, why, and the yes or no to it. */
export function registerPlans(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  const { plans } = dependencies;
  const stateOf = (plan: Pick<Plan, 'id' | 'expiresMs'>) => {
    const approval = services.approvals.of(plan.id);
    const applied = plans.state.followingPlanId === plan.id;
    const expired = plan.expiresMs <= Date.now();
    return {
      state: applied
        ? ('applied' as const)
        : expired
          ? ('expired' as const)
          : approval
            ? ('approved' as const)
            : ('open' as const),
      approvedBy: approval?.by ?? null,
      approvedMs: approval?.atMs ?? null,
    };
  };
  const actuationNow = () => ({ ...plans.state, actuators: [...plans.state.actuators] });
  const answerWith = (plan: Plan, evidence?: Evidence) => ({
    plan: structuredClone(plan) as z.output<typeof planSchema>,
    ...stateOf(plan),
    actuation: actuationNow(),
    sql: evidence?.statements ?? [],
  });
  const newest = async (evidence: Evidence, id: string): Promise<Plan> => {
    const [row] = await evidence.query<{ plan: string }>(
      `SELECT plan FROM plans WHERE gateway = {gateway:String} AND startsWith(planId, {id:String}) ORDER BY created DESC LIMIT 1`,
      { gateway: dependencies.gateway, id },
    );
    if (row === undefined) {
      if (id === '') throw apiError('TG_API_NO_PLAN');
      return plans.find(id);
    }
    return JSON.parse(row.plan) as Plan;
  };

  app.get(
    '/api/plans',
    {
      schema: {
        tags: ['plans'],
        summary: 'Plans, newest first',
        querystring: z.object({ limit: wholeNumber(1, 500).prefault('50') }),
        response: answers(
          z.object({
            plans: z.array(
              z.object({
                id: z.string(),
                createdMs: z.number(),
                expiresMs: z.number(),
                costUsd: z.number(),
                doNothingUsd: z.number(),
                expectedViolationMinutes: z.number(),
                ...state.shape,
              }),
            ),
            actuation,
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const evidence = new Evidence(dependencies.reader());
      const rows = await evidence.query<{
        id: string;
        createdMs: number;
        expiresMs: number;
        costUsd: number;
        doNothingUsd: number;
        expectedViolationMinutes: number;
      }>(
        `SELECT planId AS id, toFloat64(toUnixTimestamp64Milli(created)) AS createdMs, toFloat64(toUnixTimestamp64Milli(expires)) AS expiresMs,
           costUsd, doNothingUsd, expectedViolationMinutes
         FROM plans WHERE gateway = {gateway:String} ORDER BY created DESC LIMIT {limit:UInt32}`,
        { gateway: dependencies.gateway, limit: request.query.limit },
      );
      return {
        plans: rows.map((row) => ({ ...row, ...stateOf(row) })),
        actuation: actuationNow(),
        sql: evidence.statements,
      };
    },
  );

  app.get(
    '/api/plans/current',
    { schema: { tags: ['plans'], summary: 'The newest plan, whole', response: answers(whole) } },
    async () => {
      const evidence = new Evidence(dependencies.reader());
      return answerWith(await newest(evidence, ''), evidence);
    },
  );

  app.get(
    '/api/plans/:planId',
    {
      schema: {
        tags: ['plans'],
        summary: 'A plan, whole: allocations, instances, what binds, why',
        params: z.object({ planId }),
        response: answers(whole),
      },
    },
    async (request) => {
      const evidence = new Evidence(dependencies.reader());
      return answerWith(await newest(evidence, request.params.planId), evidence);
    },
  );

  app.get(
    '/api/plans/:planId/diff',
    {
      schema: {
        tags: ['plans'],
        summary:
          'What a plan does otherwise than another; without one, than the plan that is applied or the one before',
        params: z.object({ planId }),
        querystring: z.object({ against: planId.optional() }),
        response: answers(
          z.object({
            planId: z.string(),
            againstId: z.string().nullable().describe('null: there is nothing to compare with'),
            costUsd: z.number(),
            violationMinutes: z.number(),
            instanceHours: z.number(),
            changes: z.array(
              z.object({
                workloadId: z.number(),
                name: z.string(),
                linkId: z.string(),
                beforeBps: z.number(),
                afterBps: z.number(),
              }),
            ),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const evidence = new Evidence(dependencies.reader());
      const after = await newest(evidence, request.params.planId);
      const following = plans.state.followingPlanId;
      const wanted = request.query.against ?? (following === after.id ? null : following);
      const before = wanted === null ? await planBefore(evidence, after) : await newest(evidence, wanted);
      const none = { costUsd: 0, violationMinutes: 0, instanceHours: 0, changes: [] };
      const difference = before === undefined ? none : diffPlans(before, after);
      return {
        planId: after.id,
        againstId: before?.id ?? null,
        ...difference,
        changes: [...difference.changes],
        sql: evidence.statements,
      };
    },
  );

  const planBefore = async (evidence: Evidence, plan: Plan): Promise<Plan | undefined> => {
    const [row] = await evidence.query<{ plan: string }>(
      `SELECT plan FROM plans WHERE gateway = {gateway:String} AND planId != {id:String}
         AND created <= fromUnixTimestamp64Milli({created:Int64}) ORDER BY created DESC LIMIT 1`,
      { gateway: dependencies.gateway, id: plan.id, created: plan.createdMs },
    );
    return row === undefined ? undefined : (JSON.parse(row.plan) as Plan);
  };

  app.get(
    '/api/plans/:planId/explain',
    {
      schema: {
        tags: ['plans'],
        summary: 'A plan in words: what it costs, what binds, why each workload goes where it goes',
        params: z.object({ planId }),
        response: answers(
          z.object({
            planId: z.string(),
            headline: z.string(),
            binding: z.array(z.string()),
            conflicts: z.array(z.string()),
            reasons: z.array(z.object({ workloadId: z.number(), words: z.string() })),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const evidence = new Evidence(dependencies.reader());
      const plan = await newest(evidence, request.params.planId);
      const saved = plan.doNothingUsd - plan.costUsd;
      return {
        planId: plan.id,
        headline: `costs $${plan.costUsd.toFixed(4)} over its horizon, $${Math.abs(saved).toFixed(4)} ${saved >= 0 ? 'less' : 'more'} than doing nothing; ${plan.expectedViolationMinutes.toFixed(1)} minutes without room are expected, ${plan.doNothingViolationMinutes.toFixed(1)} when nothing is done`,
        binding: plan.binding.map((constraint) => constraint.words),
        conflicts: [...(plan.conflicts ?? [])],
        reasons: [...plan.reasons],
        sql: evidence.statements,
      };
    },
  );

  app.get(
    '/api/plans/:planId/preview',
    {
      schema: {
        tags: ['plans'],
        summary: 'What applying a plan now would change, and what speaks against it',
        params: z.object({ planId }),
        response: answers(
          z.object({
            planId: z.string(),
            steps: z.array(step),
            refused: z.array(z.object({ actuator: z.string(), reason: z.string() })),
            against: z.array(z.string()).describe('reasons for which the policy would refuse it now'),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const preview = await plans.preview(request.params.planId);
      return {
        planId: preview.planId,
        steps: preview.previews.flatMap((p) =>
          p.steps.map(({ action, target, words }) => ({ actuator: p.actuator, action, target, words })),
        ),
        refused: preview.previews.flatMap((p) =>
          p.refused.map(({ reason }) => ({ actuator: p.actuator, reason })),
        ),
        against: [...preview.reasons],
        sql: [],
      };
    },
  );

  const audited = <T>(caller: Caller, action: string, id: string, work: () => Promise<T>): Promise<T> =>
    services.audit.around(
      caller,
      { action: `plan_${action}`, words: `${action} of plan ${id.slice(0, 12)}`, details: { planId: id } },
      work,
    );

  app.post(
    '/api/plans',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['plans'],
        summary: 'Forecast and plan now, whatever the clock says',
        response: answers(whole),
      },
    },
    async (request) => {
      await audited(request.caller, 'create', 'now', () => dependencies.planNow());
      const evidence = new Evidence(dependencies.reader());
      return answerWith(await newest(evidence, ''), evidence);
    },
  );

  app.post(
    '/api/plans/:planId/approve',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['plans'],
        summary: 'Say yes to a plan; nothing moves yet',
        params: z.object({ planId }),
        response: answers(whole),
      },
    },
    async (request) => {
      const plan = await plans.find(request.params.planId);
      await audited(request.caller, 'approve', plan.id, async () =>
        services.approvals.give(plan, request.caller.name, Date.now()),
      );
      return answerWith(plan);
    },
  );

  app.post(
    '/api/plans/:planId/apply',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['plans'],
        summary: 'Apply a plan that was approved, and follow it through its periods',
        params: z.object({ planId }),
        response: answers(z.object({ ...whole.shape, applied: z.array(step) })),
      },
    },
    async (request) => {
      const plan = await plans.find(request.params.planId);
      const report = await audited(request.caller, 'apply', plan.id, async () => {
        services.approvals.require(plan, Date.now());
        return plans.apply(plan.id);
      });
      return {
        ...answerWith(plan),
        applied: report.results.flatMap((result) =>
          result.applied.map(({ action, target, words }) => ({
            actuator: result.actuator,
            action,
            target,
            words,
          })),
        ),
      };
    },
  );

  app.post(
    '/api/plans/rollback',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['plans'],
        summary: 'Undo the plan that is applied',
        body: z.strictObject({
          reason: plainText(200).trim().min(1).default('asked for by an operator'),
        }),
        response: answers(z.object({ planId: z.string(), actuation, sql: sqlBehind })),
      },
    },
    async (request) => {
      const following = plans.state.followingPlanId ?? 'none';
      const undone = await audited(request.caller, 'rollback', following, async () => {
        const id = await plans.rollback(request.body.reason);
        if (id === undefined) throw apiError('TG_API_NOTHING_APPLIED');
        return id;
      });
      return { planId: undone, actuation: actuationNow(), sql: [] };
    },
  );
}
