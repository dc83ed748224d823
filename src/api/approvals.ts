import { apiError } from './errors.js';

export interface Approval {
  readonly by: string;
  readonly atMs: number;
}

/** Plans that somebody said yes to. Kept in memory: after a restart a plan is looked at again before it is applied. */
export class Approvals {
  readonly #given = new Map<string, Approval & { readonly expiresMs: number }>();

  /** @throws TG_API_PLAN_EXPIRED */
  give(plan: { readonly id: string; readonly expiresMs: number }, by: string, nowMs: number): Approval {
    if (plan.expiresMs <= nowMs) throw expired(plan);
    for (const [id, approval] of this.#given) if (approval.expiresMs <= nowMs) this.#given.delete(id);
    const approval = { by, atMs: nowMs, expiresMs: plan.expiresMs };
    this.#given.set(plan.id, approval);
    return approval;
  }

  of(planId: string): Approval | undefined {
    const found = this.#given.get(planId);
    return found === undefined ? undefined : { by: found.by, atMs: found.atMs };
  }

  /** @throws TG_API_NOT_APPROVED, TG_API_PLAN_EXPIRED */
  require(plan: { readonly id: string; readonly expiresMs: number }, nowMs: number): Approval {
    if (plan.expiresMs <= nowMs) throw expired(plan);
    const found = this.of(plan.id);
    if (found === undefined) throw apiError('TG_API_NOT_APPROVED', { plan: plan.id.slice(0, 12) });
    return found;
  }
}

const expired = (plan: { readonly id: string; readonly expiresMs: number }) =>
  apiError('TG_API_PLAN_EXPIRED', {
    plan: plan.id.slice(0, 12),
    expired: new Date(plan.expiresMs).toISOString(),
  });
