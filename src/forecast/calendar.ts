import type { CalendarEvent } from './types.js';

const DAY_MS = 86_400_000;
/** A learnt effect beyond this is a mistake in the calendar, not an effect. */
const LARGEST_EFFECT = 20;

/** An event as people write it down: once, or again and again. */
export interface CalendarRule {
  readonly name: string;
  /** Unix time of its first beginning and end. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** `monthEnd`: the last day of every month, as long as from..until. Absent = once. */
  readonly every?: 'day' | 'week' | 'month' | 'monthEnd' | 'year' | undefined;
  readonly multiply?: number | undefined;
  /** Only for this workload; absent = for all. */
  readonly workload?: string | undefined;
}

/** A known number for a model: `value` during its occurrences, 0 else. */
export interface RegressorRule extends Omit<CalendarRule, 'multiply'> {
  readonly value: number;
}

/** The beginning of the k-th occurrence (UTC); `undefined` where a month has no such day. */
function beginning(rule: CalendarRule, k: number): number | undefined {
  const first = new Date(rule.fromMs);
  if (rule.every === 'day') return rule.fromMs + k * DAY_MS;
  if (rule.every === 'week') return rule.fromMs + 7 * k * DAY_MS;
  const months = rule.every === 'year' ? 12 * k : k;
  const month = first.getUTCMonth() + months;
  const clock = rule.fromMs % DAY_MS;
  if (rule.every === 'monthEnd') return Date.UTC(first.getUTCFullYear(), month + 1, 0) + clock;
  const at = Date.UTC(first.getUTCFullYear(), month, first.getUTCDate()) + clock;
  return new Date(at).getUTCDate() === first.getUTCDate() ? at : undefined;
}

/** Every occurrence of the rules that touches `fromMs`..`toMs`. */
export function occurrences(rules: readonly CalendarRule[], fromMs: number, toMs: number): CalendarEvent[] {
  return rules.flatMap((rule) => {
    const { name, multiply } = rule;
    const length = rule.untilMs - rule.fromMs;
    const at = (startMs: number): CalendarEvent => ({
      name,
      startMs,
      endMs: startMs + length,
      ...(multiply === undefined ? {} : { multiply }),
    });
    if (rule.every === undefined) return rule.untilMs > fromMs && rule.fromMs < toMs ? [at(rule.fromMs)] : [];
    const events: CalendarEvent[] = [];
    for (let k = 0; ; k += 1) {
      const startMs = beginning(rule, k);
      if (startMs === undefined) continue;
      if (startMs >= toMs) return events;
      if (startMs + length > fromMs) events.push(at(startMs));
    }
  });
}

/** By name: the values of rules over steps; rules of one name add up. `undefined` without any. */
export function regressorValues(
  rules: readonly RegressorRule[],
  startMs: number,
  stepMs: number,
  steps: number,
): Map<string, Float64Array> | undefined {
  if (rules.length === 0) return undefined;
  const values = new Map<string, Float64Array>();
  for (const rule of rules) {
    const column = values.get(rule.name) ?? new Float64Array(steps);
    values.set(rule.name, column);
    for (const event of occurrences([rule], startMs, startMs + steps * stepMs)) {
      const from = Math.max(0, Math.ceil((event.startMs - startMs) / stepMs - 1e-9));
      const to = Math.min(steps, Math.ceil((event.endMs - startMs) / stepMs - 1e-9));
      for (let t = from; t < to; t += 1) column[t]! += rule.value;
    }
  }
  return values;
}

/** A series with its events taken out, and what they do to it. */
export interface EventEffects {
  /** The series as it would have been without them: NaN during them. */
  readonly without: Float64Array;
  /** What a step is multiplied by, from a first step on, as known from the values before `upTo`. */
  factors(upTo: number, from: number, steps: number): Float64Array;
  /** In words, as known at the end. */
  readonly words: readonly string[];
}

/**
 * Takes events out of a series, so that they distort neither seasons nor levels, and learns what they do: the ratio of
 * what was observed during earlier ones of the same name to what the week before (or the day before) would have
 * suggested. What is given is not learnt.
 */
export function eventEffects(
  observed: Float64Array,
  startMs: number,
  stepMs: number,
  day: number,
  events: readonly CalendarEvent[],
): EventEffects {
  const n = observed.length;
  const without = Float64Array.from(observed);
  const stepsOf = (event: CalendarEvent): readonly [number, number] => [
    Math.ceil((event.startMs - startMs) / stepMs - 1e-9),
    Math.ceil((event.endMs - startMs) / stepMs - 1e-9),
  ];
  for (const event of events) {
    const [from, to] = stepsOf(event);
    for (let t = Math.max(1, from); t < Math.min(n, to); t += 1) without[t] = Number.NaN;
  }
  const expected = (t: number): number => {
    for (const back of [7 * day, 14 * day, day, 2 * day, 3 * day]) {
      const value = without[t - back];
      if (value !== undefined && !Number.isNaN(value)) return value;
    }
    return Number.NaN;
  };
  const effect = (name: string, upTo: number): number => {
    const own = events.filter((event) => event.name === name);
    const given = own.find((event) => event.multiply !== undefined)?.multiply;
    if (given !== undefined) return given;
    let came = 0;
    let usual = 0;
    for (const event of own) {
      const [from, to] = stepsOf(event);
      for (let t = Math.max(1, from); t < Math.min(upTo, to); t += 1) {
        const wanted = expected(t);
        if (Number.isNaN(observed[t]!) || Number.isNaN(wanted)) continue;
        came += observed[t]!;
        usual += wanted;
      }
    }
    return usual > 0 ? Math.min(LARGEST_EFFECT, Math.max(0, came / usual)) : 1;
  };
  const names = [...new Set(events.map((event) => event.name))];
  return {
    without,
    factors: (upTo, from, steps) => {
      const factors = new Float64Array(steps).fill(1);
      for (const name of names) {
        const touching = events.filter((event) => {
          const [begin, end] = stepsOf(event);
          return event.name === name && end > from && begin < from + steps;
        });
        if (touching.length === 0) continue;
        const by = effect(name, upTo);
        for (const event of touching) {
          const [begin, end] = stepsOf(event);
          for (let t = Math.max(begin, from); t < Math.min(end, from + steps); t += 1)
            factors[t - from]! *= by;
        }
      }
      return factors;
    },
    words: names.map((name) => `event ${name}: times ${effect(name, n).toFixed(2)}`),
  };
}
