import type { Highs, ModelData } from 'highs';

/** A linear or mixed-integer programme in sparse rows, min cost·x subject to rowLower ≤ A x ≤ rowUpper. */
export interface Programme {
  readonly columnCost: Float64Array;
  readonly columnLower: Float64Array;
  readonly columnUpper: Float64Array;
  /** 1 = integer; absent = all continuous. */
  readonly integer?: Int32Array;
  readonly rowLower: Float64Array;
  readonly rowUpper: Float64Array;
  /** Compressed rows: row i holds entries starts[i] … starts[i+1]-1. */
  readonly starts: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float64Array;
}

export interface SolveOptions {
  readonly timeLimitSeconds?: number;
  /** Nodes of the search tree; unlike time, the same whatever else the machine does. */
  readonly nodeLimit?: number;
  /** Of the simplex method. */
  readonly iterationLimit?: number;
  readonly relativeGap?: number;
  readonly seed?: number;
  /** Solver of linear programmes; the interior point is faster on large ones. */
  readonly method?: 'choose' | 'simplex' | 'ipm';
}

export interface ProgrammeSolution {
  readonly status: 'optimal' | 'feasible' | 'infeasible' | 'none';
  readonly objective: number;
  readonly columnValue: Float64Array;
  /** Change of the optimum per unit of a row's bound; of the linear programme only. */
  readonly rowDual: Float64Array;
  readonly seconds: number;
  readonly relativeGap: number;
  /** The limit that ended it before its end. */
  readonly stoppedBy: 'time' | 'work' | null;
}

let loading: Promise<Highs> | undefined;

/** HiGHS (Huangfu and Hall, 2018) as WebAssembly, compiled once a thread: a warm instance is several times faster. */
function loadHighs(): Promise<Highs> {
  // The package's declarations describe its CommonJS build; what `import` gives is the loader itself.
  loading ??= import('highs').then((module) => (module.default as unknown as () => Promise<Highs>)());
  return loading;
}

const NONE = new Float64Array(0);
/** The solver accepts finite values only. */
const UNLIMITED_SECONDS = 1e9;

/** Solves one programme; blocks its thread meanwhile. */
export async function solveProgramme(
  programme: Programme,
  options: SolveOptions = {},
): Promise<ProgrammeSolution> {
  const highs = await loadHighs();
  const numCols = programme.columnCost.length;
  const numRows = programme.rowLower.length;
  const isInteger = programme.integer?.some((kind) => kind !== 0) ?? false;
  const data: ModelData = {
    numCols,
    numRows,
    colCost: programme.columnCost,
    colLower: programme.columnLower,
    colUpper: programme.columnUpper,
    rowLower: programme.rowLower,
    rowUpper: programme.rowUpper,
    matrix: {
      format: 'csr',
      numRows,
      numCols,
      starts: programme.starts,
      indices: programme.indices,
      values: programme.values,
    },
    ...(isInteger ? { integrality: programme.integer! } : {}),
  };
  const started = performance.now();
  return highs.withModel(data, (model): ProgrammeSolution => {
    model.options.set({
      output_flag: false,
      random_seed: options.seed ?? 0,
      time_limit: options.timeLimitSeconds ?? UNLIMITED_SECONDS,
      mip_rel_gap: options.relativeGap ?? 1e-4,
      ...(isInteger ? {} : { solver: options.method ?? 'choose' }),
      ...(options.nodeLimit === undefined ? {} : { mip_max_nodes: options.nodeLimit }),
      ...(options.iterationLimit === undefined ? {} : { simplex_iteration_limit: options.iterationLimit }),
    });
    model.run();
    const status = model.getModelStatus();
    const known = highs.constants.modelStatus;
    const hasPrimal = Number(model.info.get('primal_solution_status')) === 2;
    const solution = model.getSolution();
    return {
      status:
        status === known.optimal
          ? 'optimal'
          : hasPrimal
            ? 'feasible'
            : status === known.infeasible
              ? 'infeasible'
              : 'none',
      objective: model.getObjectiveValue(),
      columnValue: hasPrimal ? solution.colValue : NONE,
      rowDual: isInteger || !hasPrimal ? NONE : solution.rowDual,
      seconds: (performance.now() - started) / 1000,
      relativeGap: isInteger && hasPrimal ? Number(model.info.get('mip_gap')) : 0,
      stoppedBy:
        status === known.timeLimit
          ? 'time'
          : status === known.iterationLimit || status === known.solutionLimit
            ? 'work'
            : null,
    };
  });
}

/** Collects a programme row by row. */
export class ProgrammeBuilder {
  readonly #cost: number[] = [];
  readonly #lower: number[] = [];
  readonly #upper: number[] = [];
  readonly #integer: number[] = [];
  readonly #rowLower: number[] = [];
  readonly #rowUpper: number[] = [];
  readonly #starts: number[] = [0];
  readonly #indices: number[] = [];
  readonly #values: number[] = [];

  /** @returns the column's index */
  column(cost: number, lower = 0, upper = Number.POSITIVE_INFINITY, integer = false): number {
    this.#cost.push(cost);
    this.#lower.push(lower);
    this.#upper.push(upper);
    this.#integer.push(integer ? 1 : 0);
    return this.#cost.length - 1;
  }

  /** lower ≤ Σ value·column ≤ upper. @returns the row's index */
  row(entries: readonly (readonly [column: number, value: number])[], lower: number, upper: number): number {
    for (const [column, value] of entries) {
      if (value === 0) continue;
      this.#indices.push(column);
      this.#values.push(value);
    }
    this.#starts.push(this.#indices.length);
    this.#rowLower.push(lower);
    this.#rowUpper.push(upper);
    return this.#rowLower.length - 1;
  }

  build(): Programme {
    return {
      columnCost: Float64Array.from(this.#cost),
      columnLower: Float64Array.from(this.#lower),
      columnUpper: Float64Array.from(this.#upper),
      integer: Int32Array.from(this.#integer),
      rowLower: Float64Array.from(this.#rowLower),
      rowUpper: Float64Array.from(this.#rowUpper),
      starts: Int32Array.from(this.#starts),
      indices: Int32Array.from(this.#indices),
      values: Float64Array.from(this.#values),
    };
  }
}
