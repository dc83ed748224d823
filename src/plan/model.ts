import { type DemandClass, isAllowed } from './classes.js';
import { type Programme, ProgrammeBuilder } from './solver/highs.js';
import type { PlanInput } from './types.js';

const BITS_PER_GB = 8e9;
/** Breaks ties: own links before public ones, earlier links before later ones. Far below any price. */
const TIE_USD = 1e-7;

/** A programme and where its parts are. */
export interface LinkModel {
  readonly programme: Programme;
  /** Column of class k on link l in period t, in units of `unitBps`. */
  readonly column: (k: number, l: number, t: number) => number;
  /** Row of the room of link l in period t. */
  readonly room: (l: number, t: number) => number;
  readonly unitBps: number;
}

/** What the owner lets a link carry, bit/s. */
export const roomBps = (input: PlanInput, l: number): number => {
  const link = input.links[l]!;
  return link.healthy ? link.capacityBps * input.goals.maximumUtilisation : 0;
};

/** Dollars for the expected part of one unit of a class's peak, sent on link l in period t. */
function unitUsd(input: PlanInput, demand: DemandClass, l: number, t: number, unitBps: number): number {
  // A deferred unit is sent at another time than it came: its volume's proportion holds.
  const sum = (row: readonly number[]): number => row.reduce((a, b) => a + b, 0);
  const deferred = demand.deferrableMs !== undefined;
  const peak = deferred ? sum(demand.peakBps) : demand.peakBps[t]!;
  const median = deferred ? sum(demand.medianBps) : demand.medianBps[t]!;
  const expected = peak > 0 ? median / peak : 0;
  const seconds = input.periods[t]!.durationMs / 1000;
  return (unitBps * expected * seconds * input.links[l]!.usdPerGb) / BITS_PER_GB;
}

/**
 * The allocation of bandwidth as a linear programme; mixed-integer only for classes that cannot be split.
 *
 * min Σ price·g + penalty·v,  Σ_l g(k,l,t) = demand(k,t),  Σ_k g(k,l,t) ≤ room(l) + v(l,t),  g, v ≥ 0.
 *
 * A deferrable class keeps its volume instead of its moments: what is sent up to a period is at most what had come
 * by then and at least what had come a deadline before, and all of it is sent in the end. The penalty is above every
 * price, so overflow v is what no allocation can avoid.
 */
export function linkModel(input: PlanInput, classes: readonly DemandClass[]): LinkModel {
  const { links, periods } = input;
  const model = new ProgrammeBuilder();
  const L = links.length;
  const T = periods.length;
  const unitBps = Math.max(1, ...periods.map((_, t) => classes.reduce((sum, c) => sum + c.peakBps[t]!, 0)));
  const infinity = Number.POSITIVE_INFINITY;
  let dearest = 0;
  const columns = classes.map((demand) =>
    links.map((link, l) =>
      periods.map((_, t) => {
        const usd = unitUsd(input, demand, l, t, unitBps);
        dearest = Math.max(dearest, usd);
        const tie = TIE_USD * (l + (link.network === 'public' ? L : 0));
        return model.column(usd + tie, 0, isAllowed(demand, link) ? infinity : 0);
      }),
    ),
  );
  const burstUsd = links.map((link) => ((link.burst?.usdPerMbps ?? 0) * unitBps) / 1e6);
  const penalty = 1000 * (Math.max(dearest, ...burstUsd) + TIE_USD * 2 * L) + 1;
  const overflow = links.map(() => periods.map(() => model.column(penalty)));
  for (const [k, demand] of classes.entries()) {
    if (demand.deferrableMs !== undefined) addDeferred(model, input, demand, columns[k]!, unitBps);
    else {
      for (let t = 0; t < T; t += 1) {
        const need = demand.peakBps[t]! / unitBps;
        model.row(
          columns[k]!.map((byPeriod) => [byPeriod[t]!, 1] as const),
          need,
          need,
        );
        if (demand.splittable || need === 0) continue;
        // All or nothing: the whole demand times a yes or no for each link.
        const yes = columns[k]!.map(() => model.column(0, 0, 1, true));
        model.row(
          yes.map((column) => [column, 1] as const),
          1,
          1,
        );
        for (let l = 0; l < L; l += 1) {
          model.row(
            [
              [columns[k]![l]![t]!, 1],
              [yes[l]!, -need],
            ],
            0,
            0,
          );
        }
      }
    }
  }
  const rooms = links.map((_, l) =>
    periods.map((_period, t) =>
      model.row(
        [...columns.map((byLink) => [byLink[l]![t]!, 1] as const), [overflow[l]![t]!, -1]],
        -infinity,
        roomBps(input, l) / unitBps,
      ),
    ),
  );
  for (const l of links.keys()) addBurst(model, input, l, columns, burstUsd[l]!, unitBps);
  return {
    programme: model.build(),
    column: (k, l, t) => columns[k]![l]![t]!,
    room: (l, t) => rooms[l]![t]!,
    unitBps,
  };
}

/**
 * A link that is billed by a percentile: total ≤ level + extra + M·free in each period, Σ samples·free ≤ free samples,
 * the extra paid for once: it is owed for the month, whenever it is used.
 */
function addBurst(
  model: ProgrammeBuilder,
  input: PlanInput,
  l: number,
  columns: readonly (readonly (readonly number[])[])[],
  usdPerUnit: number,
  unitBps: number,
): void {
  const { burst, capacityBps } = input.links[l]!;
  if (burst === undefined) return;
  const infinity = Number.POSITIVE_INFINITY;
  const extra = model.column(usdPerUnit);
  const samples = input.periods.map((period) => Math.max(1, Math.round(period.durationMs / burst.sampleMs)));
  // A link never carries more than all there is.
  const beyond = Math.min(1, capacityBps / unitBps);
  const free = samples.map((count) => model.column(0, 0, count <= burst.freeSamples ? 1 : 0, true));
  for (const [t, column] of free.entries()) {
    model.row(
      [...columns.map((byLink) => [byLink[l]![t]!, 1] as const), [extra, -1], [column, -beyond]],
      -infinity,
      burst.levelBps / unitBps,
    );
  }
  model.row(
    free.map((column, t) => [column, samples[t]!] as const),
    0,
    burst.freeSamples,
  );
}

function addDeferred(
  model: ProgrammeBuilder,
  input: PlanInput,
  demand: DemandClass,
  columns: readonly (readonly number[])[],
  unitBps: number,
): void {
  const { periods } = input;
  const hours = periods.map((period) => period.durationMs / 3_600_000);
  const arrived: number[] = [];
  let sum = 0;
  for (let t = 0; t < periods.length; t += 1) {
    sum += (demand.peakBps[t]! / unitBps) * hours[t]!;
    arrived.push(sum);
  }
  for (let t = 0; t < periods.length; t += 1) {
    const end = periods[t]!.startMs + periods[t]!.durationMs;
    // Due now: what had come by the end of the last period that ended a deadline ago.
    let due = 0;
    for (let s = 0; s < t; s += 1) {
      const ended = periods[s]!.startMs + periods[s]!.durationMs;
      if (ended + demand.deferrableMs! <= end) due = arrived[s]!;
    }
    const last = t === periods.length - 1;
    const entries = columns.flatMap((byPeriod) =>
      byPeriod.slice(0, t + 1).map((column, s) => [column, hours[s]!] as const),
    );
    model.row(entries, last ? arrived[t]! : due, arrived[t]!);
  }
}
