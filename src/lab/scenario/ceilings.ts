import { join } from 'node:path';
import {
  type ActuationPlan,
  FileJournal,
  FileLease,
  HtbActuator,
  type JournalMirror,
  PlanApplier,
} from '../../actuate/index.js';
import { LAB_LINKS } from '../plan.js';

/** What both processes of the scenario must know. */
export interface KillSettings {
  readonly netns: string;
  readonly directory: string;
  readonly planId: string;
  /** Ceiling of workload 1; workload n gets n times as much. */
  readonly rateBps: number;
}

export const CEILING_WORKLOADS = [1, 2, 3, 4] as const;
export const CEILING_LINKS = ['public-a', 'public-b'] as const;

/** A plan of eight steps: a ceiling for each workload on each public link. */
export const ceilingsPlan = (planId: string, rateBps: number): ActuationPlan => ({
  planId,
  createdMs: Date.now(),
  expiresMs: Date.now() + 3_600_000,
  allocations: CEILING_WORKLOADS.flatMap((workloadId) =>
    CEILING_LINKS.map((target) => ({
      workloadId,
      workloadName: `workload ${workloadId}`,
      resource: 'bandwidth' as const,
      target,
      rateBps: rateBps * workloadId,
      fromMs: 0,
      untilMs: Number.MAX_SAFE_INTEGER,
    })),
  ),
});

/** An applier over the lab's gateway with its journal and lease on disk. */
export function ceilingsApplier(
  settings: Pick<KillSettings, 'netns' | 'directory'>,
  mirror?: JournalMirror,
): {
  readonly applier: PlanApplier;
  readonly journal: FileJournal;
} {
  const journal = new FileJournal(join(settings.directory, 'journal.jsonl'), mirror);
  const htb = new HtbActuator({
    links: LAB_LINKS.map((link) => ({ linkId: link.linkId, interfaceName: link.interfaceName })),
    endpointsOf: (id) => [{ address: '192.0.2.10', protocol: 'tcp', port: 9000 + id }],
    netns: settings.netns,
  });
  const applier = new PlanApplier({
    actuators: [htb],
    journal,
    lease: new FileLease(join(settings.directory, 'lease.json')),
    policy: { mode: 'automatic', maxChangesPerHour: 10_000, maxShareMoved: 1, blackout: [], pinned: [] },
  });
  return { applier, journal };
}
