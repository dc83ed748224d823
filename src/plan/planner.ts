import { createHash } from 'node:crypto';
import { Piscina } from 'piscina';
import type { Component } from '../base/component.js';
import { defineErrors, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { formatRate } from '../base/units.js';
import { workerFile } from '../base/worker-file.js';
import { type DemandClass, demandClasses } from './classes.js';
import { instancesNeeded, type LinkRates, type Schedule, scheduleCost } from './cost.js';
import { linkModel, shareName } from './model.js';
import type { Solution, SolveTask } from './solve-worker.js';
import type {
  Allocation,
  BindingConstraint,
  InstanceCount,
  Plan,
  PlanInput,
  WorkloadDemand,
} from './types.js';

const fail = defineErrors({
  TG_PLAN_NO_LINK: { message: 'there is no link to plan over', hint: 'configure links', exitCode: 2 },
  TG_PLAN_NO_DEMAND: { message: 'there is no demand to plan for', hint: 'wait for the first forecasts' },
  TG_PLAN_INPUT: { message: 'the plan input is wrong: {reason}', hint: 'correct it', exitCode: 2 },
});

const TIME_LIMIT_SECONDS = 0.8;
/** Shares below this are rounding of the solver, not decisions. */
const NEGLIGIBLE = 1e-6;

const sharesOf = (workload: WorkloadDemand, input: PlanInput): number[] => {
  const given = input.links.map((link) => Math.max(0, workload.currentShares[link.linkId] ?? 0));
  const sum = given.reduce((a, b) => a + b, 0);
  if (sum > 0) return given.map((share) => share / sum);
  // A workload that goes nowhere yet would follow the default route: the pin, else the first link.
  const at = Math.max(
    0,
    input.links.findIndex((link) => link.linkId === workload.pinnedTo),
  );
  return given.map((_, l) => (l === at ? 1 : 0));
};

function check(input: PlanInput): void {
  if (input.links.length === 0) throw fail('TG_PLAN_NO_LINK');
  if (input.workloads.length === 0 || input.periods.length === 0) throw fail('TG_PLAN_NO_DEMAND');
  for (const workload of input.workloads) {
    for (const row of [workload.medianBps, workload.peakBps, workload.cpuCores, workload.memoryBytes]) {
      if (
        row.length !== input.periods.length ||
        !row.every((value) => Number.isFinite(value) && value >= 0)
      ) {
        throw fail('TG_PLAN_INPUT', {
          reason: `demand of ${workload.name} must be ${input.periods.length} finite values of at least 0`,
        });
      }
    }
    if (workload.pinnedTo !== undefined && !input.links.some((link) => link.linkId === workload.pinnedTo)) {
      throw fail('TG_PLAN_INPUT', {
        reason: `${workload.name} is pinned to the unknown link ${workload.pinnedTo}`,
      });
    }
  }
  for (const link of input.links) {
    if (!(link.capacityBps >= 0) || !(link.usdPerGb >= 0)) {
      throw fail('TG_PLAN_INPUT', { reason: `link ${link.linkId} has a negative capacity or price` });
    }
  }
}

/** Shares by [class][link][period] as rates. */
function ratesOf(
  classes: readonly DemandClass[],
  shares: LinkRates,
  pick: (c: DemandClass) => readonly number[],
): LinkRates {
  return shares.map((byLink, k) =>
    byLink.map((byPeriod) => byPeriod.map((share, t) => share * pick(classes[k]!)[t]!)),
  );
}

/**
 * Turns demand, links, hosts and prices into the cheapest schedule that keeps the goals: own capacity first, public
 * links by price, instances only where the own hosts do not suffice. One warm solver thread with a time limit; when
 * it fails or is late the present shares stand, and the plan says so.
 */
export class Planner implements Component {
  readonly #logger: Logger;
  #pool: Piscina | undefined;

  constructor(options: { readonly logger: Logger }) {
    this.#logger = options.logger;
  }

  async start(): Promise<void> {
    this.#pool = new Piscina({
      filename: workerFile(import.meta.url, './solve-worker'),
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: 600_000,
    });
  }

  async stop(): Promise<void> {
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  /** @throws TG_PLAN_NO_LINK, TG_PLAN_NO_DEMAND, TG_PLAN_INPUT */
  async plan(input: PlanInput): Promise<Plan> {
    check(input);
    const present = this.#present(input);
    const classes = demandClasses(input.workloads);
    const solution = await this.#solve(linkModel(input, classes));
    const solved = solution.status === 'Optimal';
    // Without a solution every workload keeps its present shares, each as a class of its own.
    const planned = solved ? classes : input.workloads.map((w) => demandClasses([w])[0]!);
    const shares = solved ? this.#shares(input, classes, solution) : this.#presentShares(input);
    const schedule: Schedule = {
      peak: ratesOf(planned, shares, (c) => c.peakBps),
      median: ratesOf(planned, shares, (c) => c.medianBps),
      instances: instancesNeeded(input),
    };
    const cost = scheduleCost(input, schedule);
    const doNothing = scheduleCost(input, present);
    const content: Omit<Plan, 'id'> = {
      gateway: input.gateway,
      createdMs: input.nowMs,
      expiresMs: input.expiresMs,
      periods: input.periods,
      allocations: this.#allocations(input, planned, shares),
      instances: this.#instances(input, schedule),
      costUsd: cost.usd,
      doNothingUsd: doNothing.usd,
      expectedViolationMinutes: cost.violationMinutes,
      doNothingViolationMinutes: doNothing.violationMinutes,
      binding: this.#binding(input, schedule),
      reasons: this.#reasons(input, planned, shares),
      solver: { status: solution.status, classes: planned.length },
    };
    return {
      id: createHash('sha256')
        .update(JSON.stringify([input, content]))
        .digest('hex'),
      ...content,
    };
  }

  async #solve(model: string): Promise<Solution> {
    const task: SolveTask = { model, timeLimitSeconds: TIME_LIMIT_SECONDS };
    try {
      if (!this.#pool) throw new Error('the planner is not started');
      return (await this.#pool.run(task, { name: 'solve', signal: AbortSignal.timeout(20_000) })) as Solution;
    } catch (error) {
      this.#logger.warn(
        { code: 'TG_PLAN_SOLVER', reason: messageOf(error) },
        'the solver failed; the present shares stand',
      );
      return { status: 'Failed', values: {} };
    }
  }

  /** Doing nothing: present shares for ever, and instances for the horizon's peak all the time. */
  #present(input: PlanInput): Schedule {
    const shares = this.#presentShares(input);
    const alone = input.workloads.map((w) => demandClasses([w])[0]!);
    const peak = Math.max(...instancesNeeded(input));
    return {
      peak: ratesOf(alone, shares, (c) => c.peakBps),
      median: ratesOf(alone, shares, (c) => c.medianBps),
      instances: input.periods.map(() => peak),
    };
  }

  #presentShares(input: PlanInput): LinkRates {
    return input.workloads.map((w) => sharesOf(w, input).map((share) => input.periods.map(() => share)));
  }

  #shares(input: PlanInput, classes: readonly DemandClass[], solution: Solution): LinkRates {
    return classes.map((_, k) => {
      const raw = input.links.map((_link, l) =>
        input.periods.map((_period, t) => {
          const value = solution.values[shareName(k, l, t)] ?? 0;
          return value < NEGLIGIBLE ? 0 : value;
        }),
      );
      // The solver is exact to its tolerance; shares add up to exactly one.
      return raw.map((byPeriod) =>
        byPeriod.map((value, t) => value / raw.reduce((sum, row) => sum + row[t]!, 0)),
      );
    });
  }

  #allocations(input: PlanInput, classes: readonly DemandClass[], shares: LinkRates): Allocation[] {
    const allocations: Allocation[] = [];
    const instances = instancesNeeded(input);
    for (const [k, demand] of classes.entries()) {
      for (const workload of demand.members) {
        for (const [t, period] of input.periods.entries()) {
          const span = {
            workloadId: workload.workloadId,
            fromMs: period.startMs,
            untilMs: period.startMs + period.durationMs,
          };
          for (const [l, link] of input.links.entries()) {
            const amount = workload.peakBps[t]! * shares[k]![l]![t]!;
            if (amount > 0) allocations.push({ ...span, resource: 'bandwidth', target: link.linkId, amount });
          }
          const target = instances[t]! > 0 ? input.hosts.instance.instanceId : 'private';
          allocations.push({ ...span, resource: 'cpu', target, amount: workload.cpuCores[t]! });
          allocations.push({ ...span, resource: 'memory', target, amount: workload.memoryBytes[t]! });
        }
      }
    }
    return allocations;
  }

  #instances(input: PlanInput, schedule: Schedule): InstanceCount[] {
    return input.periods.map((period, t) => ({
      instanceId: input.hosts.instance.instanceId,
      fromMs: period.startMs,
      untilMs: period.startMs + period.durationMs,
      count: schedule.instances[t]!,
    }));
  }

  #binding(input: PlanInput, schedule: Schedule): BindingConstraint[] {
    const binding: BindingConstraint[] = [];
    for (const [l, link] of input.links.entries()) {
      const room = link.healthy ? link.capacityBps * input.goals.maximumUtilisation : 0;
      const full = input.periods.filter((_, t) => {
        const used = schedule.peak.reduce((sum, byLink) => sum + byLink[l]![t]!, 0);
        return room > 0 && used >= room * (1 - 1e-6);
      });
      if (full.length > 0) {
        binding.push({
          constraint: `room:${link.linkId}`,
          words: `${link.linkId} is full (${formatRate(room)}) in ${full.length} of ${input.periods.length} periods`,
        });
      }
    }
    return binding;
  }

  #reasons(input: PlanInput, classes: readonly DemandClass[], shares: LinkRates): Plan['reasons'] {
    return classes.flatMap((demand, k) =>
      demand.members.map((workload) => {
        const parts = input.links
          .map((link, l) => ({
            link,
            share: shares[k]![l]!.reduce((sum, share) => sum + share, 0) / input.periods.length,
          }))
          .filter((part) => part.share > NEGLIGIBLE)
          .sort((a, b) => b.share - a.share)
          .map(({ link, share }) => `${Math.round(share * 100)} % on ${link.linkId} at $${link.usdPerGb}/GB`);
        const pin = workload.pinnedTo === undefined ? '' : `, pinned to ${workload.pinnedTo}`;
        return { workloadId: workload.workloadId, words: `${workload.name}: ${parts.join(', ')}${pin}` };
      }),
    );
  }
}
