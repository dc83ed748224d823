import type { PlanHosts, PlanInput } from './types.js';

/** How rented instances are bought, what an hour of one is worth planning with, and why. */
export interface Purchase {
  readonly kind: 'on-demand' | 'spot';
  /** Per instance-hour, the expected cost of interruptions included. */
  readonly usdPerHour: number;
  readonly words: string;
}

const DEFAULT_REPLACEMENT_MINUTES = 15;

/**
 * Spot or on demand: an instance that is taken back leaves its demand without room until another one stands, and
 * those minutes have the price that the owner gave violations.
 */
export function purchaseOf(input: Pick<PlanInput, 'hosts' | 'goals'>): Purchase {
  const { instance } = input.hosts;
  const { usdPerHour, spot } = instance;
  if (spot === undefined) {
    return { kind: 'on-demand', usdPerHour, words: `${instance.instanceId} on demand at $${usdPerHour}/h` };
  }
  const minutes = instance.replacementMinutes ?? DEFAULT_REPLACEMENT_MINUTES;
  const riskUsd = spot.interruptionPerHour * minutes * input.goals.violationUsdPerMinute;
  const expected = spot.usdPerHour + riskUsd;
  const risk = `${(100 * spot.interruptionPerHour).toFixed(1)} % an hour are taken back, ${minutes} min without room each: $${riskUsd.toFixed(4)}/h`;
  const words = `spot $${spot.usdPerHour}/h, ${risk}; on demand $${usdPerHour}/h`;
  return expected < usdPerHour
    ? { kind: 'spot', usdPerHour: expected, words: `${instance.instanceId} as spot: ${words}` }
    : { kind: 'on-demand', usdPerHour, words: `${instance.instanceId} on demand: ${words}` };
}

/** What reserving the instances that run throughout would save; undefined where it would not. */
export function reservationWords(
  hosts: PlanHosts,
  purchase: Purchase,
  counts: readonly number[],
): string | undefined {
  const { reservedUsdPerHour, instanceId } = hosts.instance;
  const always = Math.min(...counts);
  if (reservedUsdPerHour === undefined || always <= 0) return undefined;
  const saving = always * (purchase.usdPerHour - reservedUsdPerHour);
  if (saving <= 0) return undefined;
  return `${always} × ${instanceId} run throughout: reserving them would save $${saving.toFixed(4)} an hour while that stays so`;
}
