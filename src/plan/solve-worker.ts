import { createRequire } from 'node:module';

export interface SolveTask {
  readonly model: string;
  readonly timeLimitSeconds: number;
}

export interface Solution {
  readonly status: string;
  /** Variable → value. */
  readonly values: Readonly<Record<string, number>>;
}

/** What is used of the solver; its own declarations describe the module, not its function. */
interface Highs {
  solve(
    model: string,
    options: Readonly<Record<string, number | boolean>>,
  ): { readonly Status: string; readonly Columns: Readonly<Record<string, { readonly Primal?: number }>> };
}

let solver: Promise<Highs> | undefined;
const load = (): Promise<Highs> => (createRequire(import.meta.url)('highs') as () => Promise<Highs>)();

/** Solves one model with HiGHS (Huangfu and Hall, 2018) in WebAssembly; the thread is kept warm between models. */
export async function solve(task: SolveTask): Promise<Solution> {
  solver ??= load();
  const highs = await solver;
  const result = highs.solve(task.model, { time_limit: task.timeLimitSeconds, output_flag: false });
  const values: Record<string, number> = {};
  for (const [name, column] of Object.entries(result.Columns)) {
    if (column.Primal !== undefined) values[name] = column.Primal;
  }
  return { status: result.Status, values };
}
