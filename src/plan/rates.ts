import type { DemandClass } from './classes.js';
import type { LinkRates } from './cost.js';
import { disaggregate, type WorkloadRates } from './disaggregate.js';
import type { LinkModel } from './model.js';
import type { PlanInput, WorkloadDemand } from './types.js';

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

/** Every workload as it goes now: [workload][link][period], bit/s. */
export const presentRates = (input: PlanInput): LinkRates =>
  input.workloads.map((w) => sharesOf(w, input).map((share) => w.peakBps.map((peak) => peak * share)));

/** The expected part of peak rates: by workload and period, in proportion to its median. */
export const expectedOf = (input: PlanInput, peak: LinkRates): LinkRates =>
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

/** Rates by workload out of the classes' solution, a value a column of the model. */
export function ratesOf(
  input: PlanInput,
  classes: readonly DemandClass[],
  model: LinkModel,
  columnValue: Float64Array,
): LinkRates {
  const byWorkload = new Map<WorkloadDemand, WorkloadRates>();
  for (const [k, demand] of classes.entries()) {
    const quota = input.links.map((_, l) =>
      input.periods.map((_period, t) => Math.max(0, columnValue[model.column(k, l, t)]! * model.unitBps)),
    );
    for (const [workload, rates] of disaggregate(input, demand, quota)) byWorkload.set(workload, rates);
  }
  return input.workloads.map((workload) => byWorkload.get(workload)!);
}
