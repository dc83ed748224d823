import type { LookBack } from './look-back.js';

/** Risk levels: the share of realised errors that a schedule is prepared for, cheapest first. */
export const RISK_LEVELS = [
  0.9, 0.93, 0.95, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9995,
] as const;
/** Before there is a past to judge by. */
export const DEFAULT_RULE = RISK_LEVELS.indexOf(0.985);

type RiskLevel = (typeof RISK_LEVELS)[number];
/** A number of machines: enough for a risk level, for what was, or one more than the reactive rule has. */
export type Bound = 'none' | 'one-more' | { readonly level: number } | { readonly lookBack: LookBack };

const level = (tau: RiskLevel): Bound => ({ level: RISK_LEVELS.indexOf(tau) });
const last = (steps: number, use: number, spare: number): Bound => ({ lookBack: { steps, use, spare } });

/** At least so many, whatever the reactive rule has: what it would miss. */
const LEAST: readonly Bound[] = [
  'none',
  ...([0.9, 0.95, 0.97, 0.985, 0.993, 0.997, 0.999] as const).map(level),
  last(1, 1, 1),
  last(12, 1, 0),
  last(12, 0.75, 0),
  last(24, 1, 1),
  last(48, 0.75, 0),
  last(96, 1, 0),
  last(96, 1, 1),
  last(96, 0.75, 0),
  'one-more',
];
/** At most so many of those that the reactive rule has: what it would waste. */
const MOST: readonly Bound[] = [
  'none',
  ...([0.95, 0.97, 0.985, 0.993, 0.997, 0.999] as const).map(level),
  last(3, 0.9, 0),
  last(3, 1, 1),
  last(12, 0.75, 0),
  last(12, 1, 1),
  last(48, 1, 0),
  last(48, 1, 1),
];

/** The reactive rule's machines, no more than `most` and then no fewer than `least`. */
export interface BoundedRule {
  readonly least: Bound;
  readonly most: Bound;
}

/**
 * Rules between the reactive one (bounded by nothing) and a forecast (both bounds the same): demand that no forecast
 * foresees is met by what is known of it, and by no more than that.
 */
export const BOUNDED_RULES: readonly BoundedRule[] = LEAST.flatMap((least) =>
  MOST.map((most) => ({ least, most })),
);
