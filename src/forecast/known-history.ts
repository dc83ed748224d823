import { prolong } from './borrow.js';
import { type EventEffects, eventEffects } from './calendar.js';
import { fillFromPast, type PreparedHistory } from './prepare.js';
import type { ForecastRequest } from './types.js';

export interface KnownHistory {
  /** Without gaps and events, prolonged by what is borrowed. */
  readonly values: Float64Array;
  /** As long; NaN where nothing was observed. */
  readonly observed: Float64Array;
  readonly startMs: number;
  /** Steps before the first of its own. */
  readonly ownFrom: number;
  readonly effects: EventEffects | undefined;
  readonly words: readonly string[];
}

/** The history that members see: events taken out, gaps filled from the past, a young one prolonged by its donors. */
export function knownHistory(request: ForecastRequest, prepared: PreparedHistory, day: number): KnownHistory {
  const { stepMs } = request.history;
  const { observed, startMs } = prepared;
  const events = request.events ?? [];
  const effects = events.length === 0 ? undefined : eventEffects(observed, startMs, stepMs, day, events);
  const own = fillFromPast(effects?.without ?? observed, day);
  const words = effects?.words ?? [];
  const donors = request.donors ?? [];
  const longer = donors.length === 0 ? undefined : prolong(own, startMs, stepMs, day, donors);
  if (longer === undefined) return { values: own, observed, startMs, ownFrom: 0, effects, words };
  const { values, borrowed } = longer;
  const moved = new Float64Array(values.length).fill(Number.NaN);
  moved.set(observed, borrowed);
  return {
    values,
    observed: moved,
    startMs: startMs - borrowed * stepMs,
    ownFrom: borrowed,
    effects: effects && {
      ...effects,
      factors: (upTo, from, steps) => effects.factors(upTo - borrowed, from - borrowed, steps),
    },
    words: [
      ...words,
      `shape borrowed from ${donors.map((d) => `${d.name} (similarity ${d.similarity.toFixed(2)})`).join(', ')}`,
    ],
  };
}
