/** A gateway that has just started meets everything for the first time: what it meets in its first minute is no news. */
const FIRST_MEETING_MS = 60_000;

/** Workloads first seen since then are new: they came within the range, and after the gateway had met the others. */
export const newSince = (workloads: readonly { readonly firstSeenMs: number }[], sinceMs: number): number =>
  Math.max(sinceMs, Math.min(...workloads.map((w) => w.firstSeenMs)) + FIRST_MEETING_MS);
