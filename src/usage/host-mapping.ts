/** From `fromMs` until `untilMs` an address served a workload, with this share of the address's octets. */
export interface ServedSpan {
  readonly address: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Workload → share of the address's octets in the span, summing to 1. */
  readonly shares: ReadonlyMap<number, number>;
}

/** What flows say: octets that an address served of a workload in one step. */
export interface ServedStep {
  readonly address: string;
  readonly workloadId: number;
  readonly stepStartMs: number;
  readonly octets: number;
}

/**
 * Which workloads ran behind an address, by time: addresses are given to another workload sooner or later, so what
 * was true an hour ago need not be true now. What a step showed holds until the next step that shows something, but
 * no longer than `holdMs`; before the first sight and after the hold nothing is known.
 */
export class HostMapping {
  readonly #spans = new Map<string, ServedSpan[]>();

  /** @param steps in any order; @param stepMs their length */
  constructor(steps: readonly ServedStep[], stepMs: number, holdMs: number) {
    const byAddress = new Map<string, Map<number, Map<number, number>>>();
    for (const { address, workloadId, stepStartMs, octets } of steps) {
      if (!(octets > 0)) continue;
      const times = byAddress.get(address) ?? new Map<number, Map<number, number>>();
      byAddress.set(address, times);
      const shares = times.get(stepStartMs) ?? new Map<number, number>();
      times.set(stepStartMs, shares.set(workloadId, (shares.get(workloadId) ?? 0) + octets));
    }
    for (const [address, times] of byAddress) {
      const ordered = [...times].sort(([a], [b]) => a - b);
      this.#spans.set(
        address,
        ordered.map(([fromMs, octets], i) => {
          const total = [...octets.values()].reduce((sum, value) => sum + value, 0);
          const next = ordered[i + 1]?.[0] ?? Number.POSITIVE_INFINITY;
          return {
            address,
            fromMs,
            untilMs: Math.min(next, fromMs + stepMs + holdMs),
            shares: new Map([...octets].map(([workloadId, value]) => [workloadId, value / total])),
          };
        }),
      );
    }
  }

  /** Workload → share at a moment; empty when that is not known. */
  sharesAt(address: string, atMs: number): ReadonlyMap<number, number> {
    const spans = this.#spans.get(address) ?? [];
    // The last span that begins at or before the moment, by bisection.
    let low = 0;
    let high = spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[middle]!.fromMs <= atMs) low = middle + 1;
      else high = middle;
    }
    const span = spans[low - 1];
    return span !== undefined && atMs < span.untilMs ? span.shares : NOBODY;
  }
}

const NOBODY: ReadonlyMap<number, number> = new Map();

/** `192.0.2.1:9100`, `[2001:db8::1]:9100`, `2001:db8::1` or a name with or without port → the host alone. */
export function hostOf(instance: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(instance);
  if (bracketed) return bracketed[1]!;
  // More than one colon without brackets is an IPv6 address, which has no port then.
  return instance.split(':').length === 2 ? instance.slice(0, instance.indexOf(':')) : instance;
}
