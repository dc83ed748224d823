import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import type { FingerprintConfig } from '../config.js';
import { cosine } from './vectors.js';
import type { WorkloadState } from './workload-state.js';

interface MergeCandidate {
  /** The older one. */
  readonly into: WorkloadState;
  readonly from: WorkloadState;
  readonly margin: number;
}

export type MergeThresholds = Pick<FingerprintConfig, 'joinSamePort' | 'joinOtherPort'>;

/** The service under which unanswered connection attempts are kept. */
export const UNANSWERED = 'unanswered/tcp';

/** How far beyond the threshold two workloads are alike; not positive = they stay apart. */
function mergeMargin(a: WorkloadState, b: WorkloadState, thresholds: MergeThresholds): number {
  if (a.services.has(UNANSWERED) !== b.services.has(UNANSWERED)) return 0;
  let shared = false;
  for (const service of a.services.keys()) shared ||= b.services.has(service);
  const similarity = cosine(a.sum, b.sum, FINGERPRINT_DIMENSIONS);
  // A merge cannot be undone by itself: it asks for more than joining does.
  const { joinSamePort, joinOtherPort } = thresholds;
  return similarity - (1 + (shared ? joinSamePort : joinOtherPort)) / 2;
}

/**
 * Agglomerative by centres: the most similar mergeable pair first, until none is left; the older id stays. All pairs
 * are compared once, after a merge only those of what it made. Workloads that were named are left alone.
 *
 * @param merge makes two workloads one
 */
export function mergeAlike(
  workloads: Iterable<WorkloadState>,
  thresholds: MergeThresholds,
  merge: (into: WorkloadState, from: WorkloadState, similarity: number) => void,
): void {
  const alive = new Set([...workloads].filter((state) => state.namedBy === 'behaviour'));
  let pairs: MergeCandidate[] = [];
  const consider = (a: WorkloadState, b: WorkloadState): void => {
    const margin = mergeMargin(a, b, thresholds);
    if (margin > 0) pairs.push(a.id < b.id ? { into: a, from: b, margin } : { into: b, from: a, margin });
  };
  const states = [...alive];
  for (let i = 0; i < states.length; i += 1)
    for (let j = i + 1; j < states.length; j += 1) consider(states[i]!, states[j]!);
  while (pairs.length > 0) {
    const { into, from } = pairs.reduce((best, pair) => (pair.margin > best.margin ? pair : best));
    merge(into, from, cosine(into.sum, from.sum, FINGERPRINT_DIMENSIONS));
    alive.delete(from);
    const gone = new Set([into, from]);
    pairs = pairs.filter((pair) => !gone.has(pair.into) && !gone.has(pair.from));
    for (const other of alive) if (other !== into) consider(into, other);
  }
}
