import { ProgrammeBuilder, solveProgramme } from '../solver/highs.js';

export interface HoldProblem {
  /** Machines needed in each step. */
  readonly need: Int32Array;
  /** A start in step t keeps its machine until t + holdSteps - 1. */
  readonly holdSteps: number;
  readonly usdPerMachineStep: number;
  readonly startUsd: number;
}

/**
 * The cheapest machines with perfect foresight: min Σ c·n + start·s, n ≥ need, s_t ≥ n_t - n_{t-1},
 * n_t ≥ Σ_{j=t-H+1..t} s_j. Machines are interchangeable, so the linear relaxation has integral optima: the rows are
 * an interval structure. A result that is not integral is an error, never rounded.
 *
 * @returns machines per step
 */
export async function oracleMachines(problem: HoldProblem, integer = false): Promise<Int32Array> {
  const { need, holdSteps, usdPerMachineStep, startUsd } = problem;
  const model = new ProgrammeBuilder();
  const infinity = Number.POSITIVE_INFINITY;
  const top = Math.max(0, ...need);
  const running = Array.from(need, (n) => model.column(usdPerMachineStep, n, top, integer));
  const started = Array.from(need, () => model.column(startUsd, 0, top, integer));
  for (let t = 0; t < need.length; t += 1) {
    const entries: [number, number][] = [
      [started[t]!, 1],
      [running[t]!, -1],
    ];
    if (t > 0) entries.push([running[t - 1]!, 1]);
    model.row(entries, 0, infinity);
    const held: [number, number][] = [[running[t]!, 1]];
    for (let j = Math.max(0, t - holdSteps + 1); j <= t; j += 1) held.push([started[j]!, -1]);
    model.row(held, 0, infinity);
  }
  const solution = await solveProgramme(model.build(), { relativeGap: 0 });
  if (solution.status !== 'optimal') throw new Error(`the oracle's programme ended ${solution.status}`);
  return Int32Array.from(need, (_, t) => {
    const value = solution.columnValue[running[t]!]!;
    const whole = Math.round(value);
    if (Math.abs(value - whole) > 1e-5) throw new Error(`the oracle's optimum is not integral at step ${t}`);
    return whole;
  });
}
