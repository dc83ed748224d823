import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { apiError } from './errors.js';

export interface Approval {
  readonly by: string;
  readonly atMs: number;
}

const given = z.array(
  z.tuple([z.string(), z.object({ by: z.string(), atMs: z.number(), expiresMs: z.number() })]),
);

/**
 * Plans that somebody said yes to, until they expire. With a file they outlive the process; one that cannot be read is
 * as good as none: its plans are asked for again.
 */
export class Approvals {
  readonly #given: Map<string, Approval & { readonly expiresMs: number }>;
  readonly #file: string | undefined;

  constructor(file?: string) {
    this.#file = file;
    this.#given = new Map(file === undefined ? [] : read(file));
  }

  /** @throws TG_API_PLAN_EXPIRED; what the file system says, and then nothing is approved */
  give(plan: { readonly id: string; readonly expiresMs: number }, by: string, nowMs: number): Approval {
    if (plan.expiresMs <= nowMs) throw expired(plan);
    for (const [id, approval] of this.#given) if (approval.expiresMs <= nowMs) this.#given.delete(id);
    const approval = { by, atMs: nowMs, expiresMs: plan.expiresMs };
    this.#write([...this.#given, [plan.id, approval]]);
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

  #write(all: z.infer<typeof given>): void {
    if (this.#file === undefined) return;
    const next = `${this.#file}.new`;
    writeFileSync(next, JSON.stringify(all), { mode: 0o600, flush: true });
    renameSync(next, this.#file);
  }
}

function read(file: string): z.infer<typeof given> {
  try {
    return given.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return [];
  }
}

const expired = (plan: { readonly id: string; readonly expiresMs: number }) =>
  apiError('TG_API_PLAN_EXPIRED', {
    plan: plan.id.slice(0, 12),
    expired: new Date(plan.expiresMs).toISOString(),
  });
