import type { Component } from '../base/component.js';
import type { Logger } from '../base/logger.js';
import { checkInput } from './check.js';
import { demandClasses } from './classes.js';
import { instancesNeeded, type Schedule, scheduleCost } from './cost.js';
import { allocationsOf, circuitsOf, conflictsOf, instanceCounts, purchaseWords } from './decisions.js';
import { inputHash, planId } from './identity.js';
import { linkModel } from './model.js';
import { expectedOf, presentRates, ratesOf } from './rates.js';
import { type Solved, type SolverLimits, WarmSolver } from './solver/warm-solver.js';
import type { Plan, PlanInput } from './types.js';
import { bindingOf, reasonsOf } from './words.js';

/** How a plan was found, in words; a limit on time, unlike one on work, depends on the machine's load. */
function statusWords(solution: Solved): string {
  const { status, stoppedBy, relaxed } = solution;
  if (status === 'none') return 'Failed; the present shares stand';
  if (status === 'infeasible') return 'Infeasible; the present shares stand';
  if (status === 'optimal' && !relaxed) return 'Optimal';
  const limit = stoppedBy === 'work' ? 'Work limit' : 'Time limit hit, another run may find another plan';
  return relaxed ? `${limit}; yes-or-no decisions relaxed` : `${limit}; best feasible`;
}

/**
 * Turns demand, links, hosts and prices into the cheapest schedule that keeps the goals: own capacity first, public
 * links by price, instances only where the own hosts do not suffice. One warm solver thread with limits; when
 * it fails or is late the present shares stand, and the plan says so.
 */
export class Planner implements Component {
  readonly #solver: WarmSolver;

  /** @param options limits of a search with yes-or-no decisions */
  constructor(options: { readonly logger: Logger } & SolverLimits) {
    this.#solver = new WarmSolver(options.logger, options);
  }

  async start(): Promise<void> {
    await this.#solver.start();
  }

  async stop(): Promise<void> {
    await this.#solver.stop();
  }

  /** @throws TG_PLAN_NO_LINK, TG_PLAN_NO_DEMAND, TG_PLAN_INPUT, TG_PLAN_STALE, TG_PLAN_GOALS */
  async plan(input: PlanInput): Promise<Plan> {
    checkInput(input);
    const classes = demandClasses(input.workloads);
    const model = linkModel(input, classes);
    const solution = await this.#solver.solve(model.programme);
    const solved = solution.status === 'optimal' || solution.status === 'feasible';
    const peak = solved ? ratesOf(input, classes, model, solution.columnValue) : presentRates(input);
    const instances = instancesNeeded(input);
    const schedule: Schedule = { peak, median: expectedOf(input, peak), instances };
    const cost = scheduleCost(input, schedule);
    const present = presentRates(input);
    // Doing nothing: present shares for ever, and instances for the horizon's peak all the time.
    const doNothing = scheduleCost(input, {
      peak: present,
      median: expectedOf(input, present),
      instances: input.periods.map(() => Math.max(...instances)),
    });
    const content: Omit<Plan, 'id'> = {
      gateway: input.gateway,
      createdMs: input.nowMs,
      expiresMs: input.expiresMs,
      periods: input.periods,
      allocations: allocationsOf(input, peak, instances),
      instances: instanceCounts(input, instances),
      costUsd: cost.usd,
      costInterval: { lowUsd: cost.usd, highUsd: scheduleCost(input, { ...schedule, median: peak }).usd },
      doNothingUsd: doNothing.usd,
      expectedViolationMinutes: cost.violationMinutes,
      doNothingViolationMinutes: doNothing.violationMinutes,
      binding: bindingOf(input, peak, solved ? { model, rowDual: solution.rowDual } : undefined),
      reasons: reasonsOf(input, peak),
      runningSinceMs: input.hosts.instance.runningSinceMs ?? [],
      purchase: purchaseWords(input, instances),
      circuits: circuitsOf(input, expectedOf(input, peak)),
      conflicts: conflictsOf(input, peak, cost.violationMinutes),
      inputs: {
        sha256: inputHash(input),
        forecastMs: input.forecastMs ?? null,
        links: input.links,
        workloads: input.workloads.length,
      },
      solver: {
        status: statusWords(solution),
        classes: classes.length,
      },
    };
    return { id: planId(content), ...content };
  }
}
