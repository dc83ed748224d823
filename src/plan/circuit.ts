import { formatRate } from '../base/units.js';

const HOUR_MS = 3_600_000;
const MONTH_HOURS = 730;
const BITS_PER_GB = 8e9;

/** A circuit whose capacity comes in steps, as it stands. */
export interface CircuitState {
  readonly steps: readonly { readonly mbps: number; readonly usdPerMonth: number }[];
  readonly leadHours: number;
  readonly minimumHoldHours: number;
  readonly coolDownHours: number;
  /** The step that is leased. */
  readonly currentMbps: number;
  /** Since when; absent = longer than any hold. */
  readonly sinceMs?: number;
  /** What is ordered already and stands from then on. */
  readonly ordered?: { readonly mbps: number; readonly fromMs: number };
}

export interface CircuitDecision {
  readonly linkId: string;
  readonly mbps: number;
  /** When the step stands. */
  readonly fromMs: number;
  readonly changes: boolean;
  readonly words: string;
}

/**
 * Which step to lease: the one whose rent and overflow together cost least, the overflow being billed at what the
 * same gigabytes cost elsewhere. A change takes the lead time; a larger step waits for the cool-down after the last
 * change, a smaller one for the minimum hold as well; while an order is under way nothing else is ordered.
 *
 * @param rates what would go over the circuit were it wide enough, bit/s, with the length of each stretch
 * @param elsewhereUsdPerGb the cheapest other way; Infinity when there is none: then the step must carry the highest
 */
export function circuitDecision(
  linkId: string,
  circuit: CircuitState,
  rates: readonly { readonly bps: number; readonly durationMs: number }[],
  options: {
    readonly nowMs: number;
    readonly maximumUtilisation: number;
    readonly elsewhereUsdPerGb: number;
  },
): CircuitDecision {
  const { nowMs, maximumUtilisation, elsewhereUsdPerGb } = options;
  const { currentMbps, ordered, steps } = circuit;
  const stay = (words: string): CircuitDecision => ({
    ...{ linkId, mbps: currentMbps, fromMs: circuit.sinceMs ?? nowMs, changes: false, words },
  });
  if (ordered !== undefined && ordered.fromMs > nowMs) {
    const words = `${formatRate(ordered.mbps * 1e6)} are ordered and stand from ${new Date(ordered.fromMs).toISOString()}`;
    return { linkId, mbps: ordered.mbps, fromMs: ordered.fromMs, changes: false, words };
  }
  const horizonHours = rates.reduce((sum, r) => sum + r.durationMs, 0) / HOUR_MS;
  const monthUsd = (step: { readonly mbps: number; readonly usdPerMonth: number }): number => {
    const room = step.mbps * 1e6 * maximumUtilisation;
    const over = rates.reduce(
      (sum, r) => sum + (Math.max(0, r.bps - room) * r.durationMs) / 1000 / BITS_PER_GB,
      0,
    );
    return step.usdPerMonth + (over > 0 ? (over * elsewhereUsdPerGb * MONTH_HOURS) / horizonHours : 0);
  };
  const priced = steps.map((step) => ({ step, usd: monthUsd(step) }));
  // Where not even the largest is enough and there is no other way, the largest is the least bad.
  const wanted = priced.reduce((a, b) => (b.usd < a.usd || a.usd === Number.POSITIVE_INFINITY ? b : a));
  const now = priced.find((p) => p.step.mbps === currentMbps);
  const name = (mbps: number): string => formatRate(mbps * 1e6);
  if (
    wanted.step.mbps === currentMbps ||
    (now !== undefined && now.usd < Number.POSITIVE_INFINITY && now.usd <= wanted.usd)
  ) {
    return stay(`${name(currentMbps)} is the cheapest step`);
  }
  const saving = now === undefined ? undefined : now.usd - wanted.usd;
  const why = `${name(wanted.step.mbps)} would save ${saving === undefined || saving === Number.POSITIVE_INFINITY ? 'what has no room' : `$${saving.toFixed(2)} a month`}`;
  const heldHours =
    circuit.sinceMs === undefined ? Number.POSITIVE_INFINITY : (nowMs - circuit.sinceMs) / HOUR_MS;
  const waitHours =
    wanted.step.mbps < currentMbps
      ? Math.max(circuit.minimumHoldHours, circuit.coolDownHours)
      : circuit.coolDownHours;
  if (heldHours < waitHours) {
    const reason = wanted.step.mbps < currentMbps ? 'the minimum hold' : 'the cool-down';
    return stay(`${why}, but ${reason} lasts for ${(waitHours - heldHours).toFixed(1)} hours more`);
  }
  return {
    ...{ linkId, mbps: wanted.step.mbps, fromMs: nowMs + circuit.leadHours * HOUR_MS, changes: true },
    words: `order ${name(wanted.step.mbps)} instead of ${name(currentMbps)}: ${why}; it stands in ${circuit.leadHours} hours`,
  };
}
