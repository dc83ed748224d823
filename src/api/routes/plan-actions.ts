import { z } from 'zod';
import type { Caller } from '../access.js';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { apiError } from '../errors.js';
import { Evidence } from '../evidence.js';
import { plainText, sqlBehind } from '../schemas.js';
import type { Services } from '../services.js';
import { answers } from './answers.js';
import { actuation, PlanAnswers, planId, refused, refusedWords, step, whole } from './plan-answers.js';

/** `POST /api/plans…`: a plan now, and the yes or no to it; every change is in the audit. */
export function registerPlanActions(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  const { plans } = dependencies;
  const all = new PlanAnswers(dependencies, services);
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
      const made = await audited(request.caller, 'create', 'now', async () => {
        const outcome = await dependencies.planNow();
        if (outcome.plan === undefined) throw apiError('TG_API_PLAN_NOT_MADE', { why: outcome.words });
        return outcome.plan;
      });
      const evidence = new Evidence(dependencies.reader());
      return all.answer(await all.newest(evidence, made.id), evidence);
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
      return all.answer(plan);
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
        response: answers(z.object({ ...whole.shape, applied: z.array(step), refused })),
      },
    },
    async (request) => {
      const plan = await plans.find(request.params.planId);
      const report = await audited(request.caller, 'apply', plan.id, async () => {
        services.approvals.require(plan, Date.now());
        return plans.apply(plan.id);
      });
      return {
        ...all.answer(plan),
        applied: report.results.flatMap((result) =>
          result.applied.map(({ action, target, words }) => ({
            actuator: result.actuator,
            action,
            target,
            words,
          })),
        ),
        refused: refusedWords(report.refused),
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
      return { planId: undone, actuation: all.actuation(), sql: [] };
    },
  );
}
