import { type Programme, type ProgrammeSolution, type SolveOptions, solveProgramme } from './solver/highs.js';

export interface SolveTask {
  readonly programme: Programme;
  readonly options: SolveOptions;
}

/** Solves one programme; the thread and its compiled solver are kept warm between programmes. */
export const solve = (task: SolveTask): Promise<ProgrammeSolution> =>
  solveProgramme(task.programme, task.options);
