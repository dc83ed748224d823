import { Piscina } from 'piscina';
import type { Component } from '../../base/component.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { workerFile } from '../../base/worker-file.js';
import type { SolveTask } from '../solve-worker.js';
import type { Programme, ProgrammeSolution } from './highs.js';

/** Of a search with yes-or-no decisions: counted, so that a loaded machine finds the same plan as an idle one. */
const SEARCH_NODES = 500;
/** For a machine that is starved; a plan that ran into it says so. */
const SEARCH_SECONDS = 3;
/** A linear programme takes a fraction of either, unless the machine is starved. */
const LINEAR_LIMITS = { timeLimitSeconds: 10, iterationLimit: 200_000 };
/** Beyond the solver's own limit: the thread hangs, or its first start is very slow. */
const PATIENCE_MS = 20_000;

export type Solved = ProgrammeSolution & {
  /** The search found nothing in its time: yes-or-no decisions may be fractions. */
  readonly relaxed: boolean;
};

export interface SolverLimits {
  readonly searchSeconds?: number;
  readonly searchNodes?: number;
}

/** One solver thread, kept warm between programmes, with limits on work and, beyond them, on time. */
export class WarmSolver implements Component {
  readonly #logger: Logger;
  readonly #searchSeconds: number;
  readonly #searchNodes: number;
  #pool: Piscina | undefined;

  constructor(logger: Logger, limits: SolverLimits = {}) {
    this.#logger = logger;
    this.#searchSeconds = limits.searchSeconds ?? SEARCH_SECONDS;
    this.#searchNodes = limits.searchNodes ?? SEARCH_NODES;
  }

  async start(): Promise<void> {
    this.#pool = new Piscina({
      filename: workerFile(import.meta.url, '../solve-worker'),
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: 600_000,
    });
  }

  async stop(): Promise<void> {
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  /** Never throws: a solver that fails or hangs gives no solution, status `none`. */
  async solve(programme: Programme): Promise<Solved> {
    const { integer, ...relaxation } = programme;
    const isSearch = integer?.some((kind) => kind !== 0) ?? false;
    try {
      let stoppedBy: Solved['stoppedBy'] = null;
      if (isSearch) {
        const found = await this.#run({
          programme,
          options: {
            timeLimitSeconds: this.#searchSeconds,
            nodeLimit: this.#searchNodes,
            relativeGap: 1e-4,
          },
        });
        if (found.columnValue.length > 0) {
          // With its decisions taken, what is left is linear, and has the duals that a search does not give.
          const fixed = await this.#run({
            programme: withDecisions(relaxation, integer!, found.columnValue),
            options: LINEAR_LIMITS,
          });
          const { rowDual } = fixed.status === 'optimal' ? fixed : found;
          return { ...found, rowDual, relaxed: false };
        }
        stoppedBy = found.stoppedBy;
      }
      const linear = await this.#run({ programme: relaxation, options: LINEAR_LIMITS });
      return { ...linear, stoppedBy: stoppedBy ?? linear.stoppedBy, relaxed: isSearch };
    } catch (error) {
      this.#logger.warn(
        { code: 'TG_PLAN_SOLVER', reason: messageOf(error) },
        'the solver failed; the present shares stand',
      );
      const none = new Float64Array(0);
      return {
        ...{ status: 'none', objective: 0, columnValue: none, rowDual: none },
        ...{ seconds: 0, relativeGap: 0, stoppedBy: null, relaxed: false },
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
