import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { type ActuationPlan, type DesiredAllocation, planAt } from './actuator.js';
import type { ActuatedLink } from './link.js';
import { RepeatedLook } from './repeated-look.js';
import { SurgeRule, type SurgeRuleOptions } from './surge-rule.js';

export interface SurgeWatchOptions {
  readonly links: readonly ActuatedLink[];
  /** Bit/s by link since the last call. */
  readonly rates: () => Promise<ReadonlyMap<string, number>>;
  /** The plan whose forecast is in force: what its allocations provide for is the band. */
  readonly plan: () => ActuationPlan | undefined;
  /** Where new flows go now, if that is another plan's doing. */
  readonly following: () => ActuationPlan | undefined;
  /** Applies under the same policy, limits and journal as every plan. */
  readonly apply: (plan: ActuationPlan) => Promise<unknown>;
  /** Largest part of a workload's new flows that is moved at once, 0..1. */
  readonly maxShareMoved: number;
  readonly rule?: Omit<SurgeRuleOptions, 'capacityBps'>;
  /** Default 250 ms. */
  readonly everyMs?: number;
  /** Unix time, ms. */
  readonly now?: () => number;
  readonly logger?: Logger;
}

/** What a move by the rule holds at most for when no plan comes: then the routing table or the last plan decides. */
const HOLD_MS = 3_600_000;
/** After a refusal or a failure nothing is tried for so long. */
const RETRY_MS = 5_000;

/** Shares of the workloads that have some on a link, with theirs on it given to another one. */
export function movedAway(
  shares: readonly DesiredAllocation[],
  fullLinkId: string,
  toLinkId: string,
  maxShareMoved: number,
): DesiredAllocation[] {
  const concerned = new Set(
    shares.filter((a) => a.target === fullLinkId && (a.share ?? 0) > 0).map((a) => a.workloadId),
  );
  return [...concerned].flatMap((workloadId) => {
    const own = shares.filter((a) => a.workloadId === workloadId);
    const first = own[0];
    if (first === undefined) return [];
    const byLink = new Map(own.map((a) => [a.target, a.share ?? 0]));
    const moved = Math.min(byLink.get(fullLinkId) ?? 0, maxShareMoved);
    byLink.set(fullLinkId, (byLink.get(fullLinkId) ?? 0) - moved);
    byLink.set(toLinkId, (byLink.get(toLinkId) ?? 0) + moved);
    const { workloadName, resource, fromMs, untilMs } = first;
    return [...byLink]
      .filter(([, share]) => share > 0)
      .map(([target, share]) => ({ workloadId, workloadName, resource, target, share, fromMs, untilMs }));
  });
}

/**
 * The reactive rule in a running gateway: when what the links carry leaves the band of the plan's forecast and one of
 * them is nearly full, new flows of everything on it go to the link with the most room, now, without waiting for the
 * next plan. The next plan, which knows the present rates, takes over from there.
 */
export class SurgeWatch implements Component {
  readonly #options: SurgeWatchOptions;
  readonly #now: () => number;
  readonly #repeated: RepeatedLook;
  readonly #rules = new Map<string, SurgeRule>();
  #count = 0;
  #waitUntilMs = 0;

  constructor(options: SurgeWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#repeated = new RepeatedLook(() => this.look(), options.everyMs ?? 250);
    for (const { linkId, capacityBps } of options.links)
      if (capacityBps !== undefined) this.#rules.set(linkId, new SurgeRule({ ...options.rule, capacityBps }));
  }

  async start(): Promise<void> {
    this.#repeated.start();
  }

  async stop(): Promise<void> {
    await this.#repeated.stop();
  }

  /** One look, as the timer does it; the id of the plan that it made, if any was applied. Never rejects. */
  async look(): Promise<string | undefined> {
    const { rates, logger } = this.#options;
    try {
      const carried = await rates();
      const full = this.#full(carried);
      if (full === undefined || this.#now() < this.#waitUntilMs) return undefined;
      return await this.#act(full, carried);
    } catch (error) {
      this.#waitUntilMs = this.#now() + RETRY_MS;
      logger?.warn({ reason: messageOf(error) }, 'surge: nothing moved');
      return undefined;
    }
  }

  /** The fullest link that has left its band for some looks in a row. */
  #full(carried: ReadonlyMap<string, number>): string | undefined {
    const plan = this.#options.plan();
    const nowMs = this.#now();
    if (plan === undefined || nowMs >= plan.expiresMs) return undefined;
    const provided = planAt(plan, nowMs).allocations.filter((a) => a.resource === 'bandwidth');
    if (provided.length === 0) return undefined;
    const bandBps = provided.reduce((sum, a) => sum + (a.rateBps ?? 0), 0);
    const totalBps = [...carried.values()].reduce((sum, bps) => sum + bps, 0);
    let fullest: { readonly linkId: string; readonly part: number } | undefined;
    for (const { linkId, capacityBps = Number.POSITIVE_INFINITY } of this.#options.links) {
      const bps = carried.get(linkId) ?? 0;
      const rule = this.#rules.get(linkId);
      rule?.expect(bandBps);
      if (rule?.observe(totalBps, bps) !== true) continue;
      const part = bps / capacityBps;
      if (fullest === undefined || part > fullest.part) fullest = { linkId, part };
    }
    return fullest?.linkId;
  }

  async #act(fullLinkId: string, carried: ReadonlyMap<string, number>): Promise<string | undefined> {
    const { links, plan, following, apply, maxShareMoved, logger } = this.#options;
    const nowMs = this.#now();
    const inForce = following() ?? plan();
    if (inForce === undefined) return undefined;
    const room = (link: ActuatedLink): number =>
      (link.capacityBps ?? Number.POSITIVE_INFINITY) - (carried.get(link.linkId) ?? 0);
    const [to] = links.filter((link) => link.linkId !== fullLinkId).sort((a, b) => room(b) - room(a));
    if (to === undefined || room(to) <= 0) return undefined;
    const shares = planAt(inForce, nowMs).allocations.filter(
      (a) => a.resource === 'bandwidth' && a.share !== undefined,
    );
    const moved = movedAway(shares, fullLinkId, to.linkId, maxShareMoved);
    if (moved.length === 0) return undefined;
    this.#count += 1;
    const planId = `surge-${nowMs.toString(36)}-${this.#count}`;
    const untilMs = nowMs + HOLD_MS;
    const kept = shares.filter((a) => !moved.some((m) => m.workloadId === a.workloadId));
    const allocations = [...kept, ...moved].map((a) => ({ ...a, fromMs: nowMs, untilMs }));
    logger?.warn({ planId, full: fullLinkId, to: to.linkId }, 'surge: outside the forecast and full');
    await apply({ planId, createdMs: nowMs, expiresMs: untilMs, allocations });
    return planId;
  }
}
