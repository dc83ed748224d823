import { defineErrors } from '../base/errors.js';
import type { Plan } from '../plan/index.js';
import type { StoreClient } from '../store/index.js';

const fail = defineErrors({
  TG_PLAN_UNKNOWN: {
    message: 'there is no plan {plan}',
    hint: 'see `tidegate plan history`',
    httpStatus: 404,
  },
  TG_PLAN_AMBIGUOUS: {
    message: '{plan} is the beginning of several plans',
    hint: 'give more of the id',
    exitCode: 2,
    httpStatus: 409,
  },
});

type Client = Pick<StoreClient, 'query'>;

/** The newest plan of a gateway; `undefined` = there is none yet. */
export async function newestPlan(client: Client, gateway: string): Promise<Plan | undefined> {
  const [row] = await client.query<{ plan: string }>(
    'SELECT plan FROM plans WHERE gateway = {gateway:String} ORDER BY created DESC LIMIT 1',
    { params: { gateway } },
  );
  return row === undefined ? undefined : (JSON.parse(row.plan) as Plan);
}

/** The newest plan of a gateway whose id begins so. @throws TG_PLAN_UNKNOWN, TG_PLAN_AMBIGUOUS */
export async function findPlan(client: Client, gateway: string, planId: string): Promise<Plan> {
  const rows = await client.query<{ planId: string; plan: string }>(
    `SELECT planId, argMax(plan, created) AS plan FROM plans
     WHERE gateway = {gateway:String} AND startsWith(planId, {id:String}) GROUP BY planId LIMIT 2`,
    { params: { gateway, id: planId } },
  );
  const [row] = rows;
  if (row === undefined || planId === '') throw fail('TG_PLAN_UNKNOWN', { plan: planId });
  if (rows.length > 1) throw fail('TG_PLAN_AMBIGUOUS', { plan: planId });
  return JSON.parse(row.plan) as Plan;
}
