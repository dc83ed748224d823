import type { PlanLink, WorkloadDemand } from './types.js';

/** Workloads that are planned as one because nothing tells them apart but size. */
export interface DemandClass {
  readonly members: readonly WorkloadDemand[];
  readonly pinnedTo: string | undefined;
  readonly latencyBoundMs: number | undefined;
  readonly deferrableMs: number | undefined;
  readonly splittable: boolean;
  readonly medianBps: readonly number[];
  readonly peakBps: readonly number[];
}

export const MAXIMUM_CLASSES = 8;

const add = (rows: readonly (readonly number[])[]): number[] => {
  const sums = new Array<number>(rows[0]!.length).fill(0);
  for (const row of rows) for (let t = 0; t < sums.length; t += 1) sums[t]! += row[t]!;
  return sums;
};

const classOf = (members: readonly WorkloadDemand[]): DemandClass => ({
  members,
  pinnedTo: members[0]!.pinnedTo,
  latencyBoundMs: members[0]!.latencyBoundMs,
  deferrableMs: members[0]!.deferrableMs,
  splittable: members[0]!.splittable !== false,
  medianBps: add(members.map((m) => m.medianBps)),
  peakBps: add(members.map((m) => m.peakBps)),
});

/** The link will do for the class: right pin, fast enough. */
export const isAllowed = (
  demand: Pick<DemandClass, 'pinnedTo' | 'latencyBoundMs'>,
  link: PlanLink,
): boolean =>
  (demand.pinnedTo === undefined || demand.pinnedTo === link.linkId) &&
  (demand.latencyBoundMs === undefined || (link.latencyMs ?? 0) <= demand.latencyBoundMs);

const keyOf = (w: WorkloadDemand): string =>
  JSON.stringify([
    w.pinnedTo ?? '',
    w.latencyBoundMs ?? -1,
    w.deferrableMs ?? -1,
    // What cannot be split is decided on its own.
    w.splittable === false ? w.workloadId : -1,
  ]);

/**
 * Few classes: one for each combination of constraints, and the largest unconstrained workloads by themselves while
 * there are fewer than eight. Sizes add, so a class's plan is its members' plan; the order is fixed, so equal inputs
 * give equal plans. Constraints are never merged away: many kinds of them make more than eight classes.
 */
export function demandClasses(workloads: readonly WorkloadDemand[]): DemandClass[] {
  const size = new Map(workloads.map((w) => [w, w.peakBps.reduce((sum, bps) => sum + bps, 0)]));
  const sorted = [...workloads].sort((a, b) => size.get(b)! - size.get(a)! || a.workloadId - b.workloadId);
  const groups = new Map<string, WorkloadDemand[]>();
  for (const workload of sorted) {
    const key = keyOf(workload);
    const group = groups.get(key);
    if (group) group.push(workload);
    else groups.set(key, [workload]);
  }
  const free = groups.get(keyOf({ workloadId: 0 } as WorkloadDemand)) ?? [];
  const constrained = [...groups.values()].filter((group) => group !== free).map(classOf);
  const places = Math.max(1, MAXIMUM_CLASSES - constrained.length);
  const alone = free.length <= places ? free.length : places - 1;
  const classes = [...constrained, ...free.slice(0, alone).map((w) => classOf([w]))];
  if (free.length > alone) classes.push(classOf(free.slice(alone)));
  return classes;
}
