import { z } from 'zod';
import { refusalsIn } from '../../actuate/index.js';
import { diffPlans, type Plan } from '../../plan/index.js';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { sqlBehind, wholeNumber } from '../schemas.js';
import type { Services } from '../services.js';
import { answers } from './answers.js';
import { actuation, PlanAnswers, planId, refused, refusedWords, state, step, whole } from './plan-answers.js';

/** `GET /api/plans…`: what the gateway would do, and why. */
export function registerPlans(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  const { plans } = dependencies;
  const all = new PlanAnswers(dependencies, services);

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
        plans: rows.map((row) => ({ ...row, ...all.stateOf(row) })),
        actuation: all.actuation(),
        sql: evidence.statements,
      };
    },
  );

  app.get(
    '/api/plans/current',
    { schema: { tags: ['plans'], summary: 'The newest plan, whole', response: answers(whole) } },
    async () => {
      const evidence = new Evidence(dependencies.reader());
      return all.answer(await all.newest(evidence, ''), evidence);
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
      return all.answer(await all.newest(evidence, request.params.planId), evidence);
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
      const after = await all.newest(evidence, request.params.planId);
      const following = plans.state.followingPlanId;
      const wanted = request.query.against ?? (following === after.id ? null : following);
      const before = wanted === null ? await planBefore(evidence, after) : await all.newest(evidence, wanted);
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
      const plan = await all.newest(evidence, request.params.planId);
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
            refused,
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
        refused: refusedWords(refusalsIn(preview.previews)),
        against: [...preview.reasons],
        sql: [],
      };
    },
  );
}
