import { hash32, seededRandom } from './random.js';

/** A recurring rise of the load, as fractions of the day. */
export interface Bump {
  /** Middle of the rise, 0..1 of the day. */
  readonly at: number;
  /** Standard deviation, fraction of the day; `flat` bumps are on or off within ±width. */
  readonly width: number;
  readonly height: number;
  readonly flat?: boolean;
}

/** The shape of a day: a floor plus bumps, relative to the workload's peak. */
export interface DayShape {
  readonly floor: number;
  readonly bumps: readonly Bump[];
}

export interface DaySettings {
  readonly seasonMs: number;
  readonly seed: number;
  /** Unix time of the start of day 0. */
  readonly epochMs: number;
}

/** How much days of the same workload differ from each other, ± of the level. */
const DAY_JITTER = 0.08;

const circularDistance = (a: number, b: number): number => {
  const d = Math.abs(a - b) % 1;
  return Math.min(d, 1 - d);
};

/**
 * Load of a workload relative to its peak at Unix time `atMs`: deterministic, the same every day up to a seeded
 * factor per day (±8 %), so that the peak recurs and is not perfectly predictable.
 */
export function loadLevel(name: string, shape: DayShape, day: DaySettings, atMs: number): number {
  const days = (atMs - day.epochMs) / day.seasonMs;
  const index = Math.floor(days);
  const phase = days - index;
  let level = shape.floor;
  for (const bump of shape.bumps) {
    const d = circularDistance(phase, bump.at);
    if (bump.flat) level += d <= bump.width ? bump.height : 0;
    else level += bump.height * Math.exp(-0.5 * (d / bump.width) ** 2);
  }
  const jitter = seededRandom(hash32(`${day.seed}:${name}:${index}`))();
  return level * (1 + DAY_JITTER * (2 * jitter - 1));
}
