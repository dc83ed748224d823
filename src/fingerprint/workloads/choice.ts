import type { FingerprintConfig } from '../config.js';
import { TCP } from '../features/protocols.js';
import { UNANSWERED } from './merging.js';
import type { EndpointSummary, Workload } from './types.js';
import { behaviourSimilarity, describe, similarityTo, type WorkloadState } from './workload-state.js';

const UNANSWERED_PACKETS_PER_FLOW = 4;
/** A workload that was not seen for so long may answer on another port now. */
const MOVED_AFTER_MS = 300_000;

/** Connection attempts that nobody answered; of any port they are one workload: a scan is not a thousand services. */
export const isUnanswered = (endpoint: EndpointSummary): boolean =>
  endpoint.protocol === TCP &&
  endpoint.reversePackets === 0 &&
  endpoint.packets < endpoint.flows * UNANSWERED_PACKETS_PER_FLOW;

/** Workloads most like a vector, best first. */
export const nearestWorkloads = (
  workloads: Iterable<WorkloadState>,
  vector: ArrayLike<number>,
  count: number,
): { workload: Workload; similarity: number }[] =>
  [...workloads]
    .map((state) => ({ state, similarity: similarityTo(state, vector) }))
    .sort((a, b) => b.similarity - a.similarity || a.state.id - b.state.id)
    .slice(0, count)
    .map(({ state, similarity }) => ({ workload: describe(state), similarity }));

/** The workload that a rule gave this name. */
export function ruledAs(workloads: Iterable<WorkloadState>, name: string): WorkloadState | undefined {
  for (const state of workloads) if (state.namedBy === 'rule' && state.name === name) return state;
  return undefined;
}

/**
 * The workload that a new endpoint of `service` joins: the one that is furthest beyond its threshold, nearer for
 * another port than for its own. A workload that has fallen silent may have moved: it is also known by what it does
 * whatever the port, which two services that answer at the same time are not. With no room for new ones, the nearest. Unanswered attempts have one of their own.
 */
export function nearEnough(
  workloads: ReadonlyMap<number, WorkloadState>,
  endpoint: EndpointSummary,
  service: string,
  nowMs: number,
  options: Pick<FingerprintConfig, 'joinSamePort' | 'joinOtherPort' | 'maxWorkloads'>,
): WorkloadState | undefined {
  const { joinSamePort, joinOtherPort, maxWorkloads } = options;
  let best: WorkloadState | undefined;
  let bestMargin = Number.NEGATIVE_INFINITY;
  for (const state of workloads.values()) {
    if (service === UNANSWERED || state.services.has(UNANSWERED)) {
      if (service === UNANSWERED && state.services.has(UNANSWERED)) return state;
      continue;
    }
    const similarity = similarityTo(state, endpoint.pooled);
    const hasMoved = nowMs - state.lastSeenMs >= MOVED_AFTER_MS;
    const margin = state.services.has(service)
      ? similarity - joinSamePort
      : (hasMoved ? Math.max(similarity, behaviourSimilarity(state, endpoint)) : similarity) - joinOtherPort;
    if (margin <= bestMargin) continue;
    best = state;
    bestMargin = margin;
  }
  return bestMargin >= 0 || workloads.size >= maxWorkloads ? best : undefined;
}
