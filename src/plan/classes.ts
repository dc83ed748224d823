import type { WorkloadDemand } from './types.js';

/** Workloads that are planned as one because nothing tells them apart but size. */
export interface DemandClass {
  readonly members: readonly WorkloadDemand[];
  readonly pinnedTo: string | undefined;
  readonly medianBps: readonly number[];
  readonly peakBps: readonly number[];
}

export const MAXIMUM_CLASSES = 8;

const add = (rows: readonly (readonly number[])[]): number[] =>
  rows[0]!.map((_, t) => rows.reduce((sum, row) => sum + (row[t] ?? 0), 0));

const classOf = (members: readonly WorkloadDemand[], pinnedTo: string | undefined): DemandClass => ({
  members,
  pinnedTo,
  medianBps: add(members.map((m) => m.medianBps)),
  peakBps: add(members.map((m) => m.peakBps)),
});

/**
 * At most eight classes: one for each pin, the largest free workloads by themselves, the rest together. Sizes add, so
 * a class's plan is its members' plan; the order is fixed, so equal inputs give equal plans.
 */
export function demandClasses(workloads: readonly WorkloadDemand[]): DemandClass[] {
  const total = (w: WorkloadDemand): number => w.peakBps.reduce((sum, bps) => sum + bps, 0);
  const sorted = [...workloads].sort((a, b) => total(b) - total(a) || a.workloadId - b.workloadId);
  const pins = [...new Set(sorted.map((w) => w.pinnedTo).filter((pin) => pin !== undefined))].sort();
  const classes = pins.map((pin) =>
    classOf(
      sorted.filter((w) => w.pinnedTo === pin),
      pin,
    ),
  );
  const free = sorted.filter((w) => w.pinnedTo === undefined);
  const alone = Math.max(
    0,
    Math.min(
      free.length,
      MAXIMUM_CLASSES - pins.length - (free.length > MAXIMUM_CLASSES - pins.length ? 1 : 0),
    ),
  );
  for (const workload of free.slice(0, alone)) classes.push(classOf([workload], undefined));
  if (free.length > alone) classes.push(classOf(free.slice(alone), undefined));
  return classes;
}
