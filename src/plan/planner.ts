import { Piscina } from 'piscina';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { workerFile } from '../base/worker-file.js';
import { checkInput } from './check.js';
import { type CircuitDecision, circuitDecision } from './circuit.js';
import { demandClasses } from './classes.js';
import { instancesNeeded, type LinkRates, linkTotals, type Schedule, scheduleCost } from './cost.js';
import { disaggregate, type WorkloadRates } from './disaggregate.js';
import { inputHash, planId } from './identity.js';
import { type LinkModel, linkModel } from './model.js';
import { purchaseOf, reservationWords } from './purchase.js';
import type { SolveTask } from './solve-worker.js';
import type { Programme, ProgrammeSolution } from './solver/highs.js';
import type { Allocation, InstanceCount, Plan, PlanInput, WorkloadDemand } from './types.js';
import { bindingOf, reasonsOf } from './words.js';

/** Of a search with yes-or-no decisions; its best find until then counts. */
const SEARCH_SECONDS = 0.8;
/** Of a linear programme: it takes a fraction of this, unless the machine is starved. */
const LINEAR_SECONDS = 10;
/** Beyond the solver's own limit: the thread hangs, or its first start is very slow. */
const PATIENCE_MS = 20_000;
const MINUTES_PER_30_DAYS = 43_200;

const WORDS = {
  optimal: 'Optimal',
  feasible: 'Time limit, best feasible',
  infeasible: 'Infeasible',
  none: 'Failed',
  relaxed: 'Time limit, yes-or-no decisions relaxed',
};

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

const presentRates = (input: PlanInput): LinkRates =>
  input.workloads.map((w) => sharesOf(w, input).map((share) => w.peakBps.map((peak) => peak * share)));

/** The expected part of peak rates: by workload and period, in proportion to its median. */
const expectedOf = (input: PlanInput, peak: LinkRates): LinkRates =>
  input.workloads.map((w, i) => {
    // A deferred workload's rates lie elsewhere in time: its volume's proportion holds.
    const volume = w.peakBps.reduce((sum, bps) => sum + bps, 0);
    const whole = volume > 0 ? w.medianBps.reduce((sum, bps) => sum + bps, 0) / volume : 0;
    return peak[i]!.map((byPeriod) =>
      byPeriod.map((rate, t) => {
        if (w.deferrableMs !== undefined) return rate * whole;
        return w.peakBps[t]! > 0 ? (rate * w.medianBps[t]!) / w.peakBps[t]! : 0;
      }),
    );
  });

/**
 * Turns demand, links, hosts and prices into the cheapest schedule that keeps the goals: own capacity first, public
 * links by price, instances only where the own hosts do not suffice. One warm solver thread with a time limit; when
 * it fails or is late the present shares stand, and the plan says so.
 */
export class Planner implements Component {
  readonly #logger: Logger;
  readonly #searchSeconds: number;
  #pool: Piscina | undefined;

  /** @param options.searchSeconds limit of a search with yes-or-no decisions */
  constructor(options: { readonly logger: Logger; readonly searchSeconds?: number }) {
    this.#logger = options.logger;
    this.#searchSeconds = options.searchSeconds ?? SEARCH_SECONDS;
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

  /** @throws TG_PLAN_NO_LINK, TG_PLAN_NO_DEMAND, TG_PLAN_INPUT, TG_PLAN_STALE, TG_PLAN_GOALS */
  async plan(input: PlanInput): Promise<Plan> {
    checkInput(input);
    const classes = demandClasses(input.workloads);
    const model = linkModel(input, classes);
    const solution = await this.#solve(model);
    const solved = solution.status === 'optimal' || solution.status === 'feasible';
    const peak = solved ? ratesOf(input, classes, model, solution) : presentRates(input);
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
        status: solved
          ? WORDS[solution.relaxed ? 'relaxed' : solution.status]
          : `${WORDS[solution.status]}; the present shares stand`,
        classes: classes.length,
      },
    };
    return { id: planId(content), ...content };
  }

  async #solve({ programme }: LinkModel): Promise<ProgrammeSolution & { readonly relaxed: boolean }> {
    const { integer, ...relaxation } = programme;
    const isSearch = integer?.some((kind) => kind !== 0) ?? false;
    try {
      if (isSearch) {
        const found = await this.#run({
          programme,
          options: { timeLimitSeconds: this.#searchSeconds, relativeGap: 1e-4 },
        });
        if (found.columnValue.length > 0) {
          // With its decisions taken, what is left is linear, and has the duals that a search does not give.
          const fixed = await this.#run({
            programme: withDecisions(relaxation, integer!, found.columnValue),
            options: { timeLimitSeconds: LINEAR_SECONDS },
          });
          const { rowDual } = fixed.status === 'optimal' ? fixed : found;
          return { ...found, rowDual, relaxed: false };
        }
      }
      const linear = await this.#run({
        programme: relaxation,
        options: { timeLimitSeconds: LINEAR_SECONDS },
      });
      return { ...linear, relaxed: isSearch };
    } catch (error) {
      this.#logger.warn(
        { code: 'TG_PLAN_SOLVER', reason: messageOf(error) },
        'the solver failed; the present shares stand',
      );
      const none = new Float64Array(0);
      return {
        ...{ status: 'none', objective: 0, columnValue: none, rowDual: none },
        ...{ seconds: 0, relativeGap: 0, relaxed: false },
      };
    }
  }

  async #run(task: SolveTask): Promise<ProgrammeSolution> {
    if (!this.#pool) throw new Error('the planner is not started');
    const signal = AbortSignal.timeout(PATIENCE_MS);
    return (await this.#pool.run(task, { name: 'solve', signal })) as ProgrammeSolution;
  }
}

/** The programme once its yes-or-no columns stand. */
function withDecisions(relaxation: Programme, integer: Int32Array, values: Float64Array): Programme {
  const columnLower = Float64Array.from(relaxation.columnLower);
  const columnUpper = Float64Array.from(relaxation.columnUpper);
  for (const [i, kind] of integer.entries()) {
    if (kind === 0) continue;
    columnLower[i] = Math.round(values[i]!);
    columnUpper[i] = columnLower[i]!;
  }
  return { ...relaxation, columnLower, columnUpper };
}

/** Rates by workload out of the classes' solution. */
function ratesOf(
  input: PlanInput,
  classes: ReturnType<typeof demandClasses>,
  model: LinkModel,
  solution: ProgrammeSolution,
): LinkRates {
  const byWorkload = new Map<WorkloadDemand, WorkloadRates>();
  for (const [k, demand] of classes.entries()) {
    const quota = input.links.map((_, l) =>
      input.periods.map((_period, t) =>
        Math.max(0, solution.columnValue[model.column(k, l, t)]! * model.unitBps),
      ),
    );
    for (const [workload, rates] of disaggregate(input, demand, quota)) byWorkload.set(workload, rates);
  }
  return input.workloads.map((workload) => byWorkload.get(workload)!);
}

function allocationsOf(input: PlanInput, peak: LinkRates, instances: readonly number[]): Allocation[] {
  const allocations: Allocation[] = [];
  const { links, periods, workloads } = input;
  const rented = input.hosts.instance.instanceId;
  for (let w = 0; w < workloads.length; w += 1) {
    const { workloadId, cpuCores, memoryBytes } = workloads[w]!;
    for (let t = 0; t < periods.length; t += 1) {
      const fromMs = periods[t]!.startMs;
      const untilMs = fromMs + periods[t]!.durationMs;
      // Written out: a large plan has hundreds of thousands of these, and spreading objects is slow.
      const add = (resource: Allocation['resource'], target: string, amount: number): void => {
        allocations.push({ workloadId, resource, target, fromMs, untilMs, amount });
      };
      for (let l = 0; l < links.length; l += 1) {
        const amount = peak[w]![l]![t]!;
        if (amount > 0) add('bandwidth', links[l]!.linkId, amount);
      }
      const target = instances[t]! > 0 ? rented : 'private';
      add('cpu', target, cpuCores[t]!);
      add('memory', target, memoryBytes[t]!);
    }
  }
  return allocations;
}

const instanceCounts = (input: PlanInput, instances: readonly number[]): InstanceCount[] =>
  input.periods.map((period, t) => ({
    instanceId: input.hosts.instance.instanceId,
    fromMs: period.startMs,
    untilMs: period.startMs + period.durationMs,
    count: instances[t]!,
  }));

function purchaseWords(input: PlanInput, instances: readonly number[]): NonNullable<Plan['purchase']> {
  const purchase = purchaseOf(input);
  const reserve = reservationWords(input.hosts, purchase, instances);
  return { kind: purchase.kind, words: purchase.words, ...(reserve === undefined ? {} : { reserve }) };
}

/** Circuit steps: what would go over a circuit is what goes there now, and what dearer links carry beside it. */
function circuitsOf(input: PlanInput, expected: LinkRates): CircuitDecision[] {
  const totals = linkTotals(input, expected);
  return input.links.flatMap((link, l): CircuitDecision[] => {
    if (link.circuit === undefined || !link.healthy) return [];
    const dearer = input.links
      .map((other, o) => ({ other, o }))
      .filter(({ other }) => other.usdPerGb > link.usdPerGb && other.healthy);
    const rates = input.periods.map((period, t) => ({
      bps: totals[l]![t]! + dearer.reduce((sum, { o }) => sum + totals[o]![t]!, 0),
      durationMs: period.durationMs,
    }));
    const elsewhereUsdPerGb = Math.min(...dearer.map(({ other }) => other.usdPerGb));
    const { maximumUtilisation } = input.goals;
    return [
      circuitDecision(link.linkId, link.circuit, rates, {
        nowMs: input.nowMs,
        maximumUtilisation,
        elsewhereUsdPerGb,
      }),
    ];
  });
}

/** Goals that this plan cannot keep, and what would have to give. */
function conflictsOf(input: PlanInput, peak: LinkRates, violationMinutes: number): string[] {
  const limit = input.goals.maximumViolationMinutes;
  if (limit === undefined || violationMinutes === 0) return [];
  const horizonMinutes = input.periods.reduce((sum, p) => sum + p.durationMs, 0) / 60_000;
  const monthly = (violationMinutes / horizonMinutes) * MINUTES_PER_30_DAYS;
  if (monthly <= limit) return [];
  const totals = peak.reduce<number[]>(
    (sums, byLink) => sums.map((sum, t) => sum + byLink.reduce((all, row) => all + row[t]!, 0)),
    input.periods.map(() => 0),
  );
  const room = input.links.reduce((sum, link) => sum + (link.healthy ? link.capacityBps : 0), 0);
  const missing = Math.max(...totals) / input.goals.maximumUtilisation - room;
  const relaxations = [`${Math.ceil(monthly)} violation minutes a month`];
  if (missing > 0) relaxations.push(`${(missing / 1e6).toFixed(0)} Mbit/s more capacity`);
  if (Math.max(...totals) <= room) {
    relaxations.push(`a utilisation of up to ${((100 * Math.max(...totals)) / room).toFixed(0)} %`);
  }
  return [
    `at most ${limit} violation minutes a month cannot be kept with the links there are: it takes ${relaxations.join(', or ')}`,
  ];
}
