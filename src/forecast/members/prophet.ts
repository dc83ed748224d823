import type { CalendarEvent, Forecaster, ForecasterContext } from '../types.js';
import { type ProphetEvents, type ProphetFrame, prophetForecast } from './prophet-model.js';

const DAY_MS = 86_400_000;
/** L-BFGS steps; the gain beyond is small and the time to convergence depends on the data. */
const ITERATIONS = 300;
/** More points cost time in proportion and bring little for a horizon of a season. */
const MAX_POINTS = 4032;
/** Seasons of history that a seasonal term needs. */
const COVERED = 1.1;
/** The highest harmonic: more follow the noise. */
const MAX_ORDER = 8;

/** Kinds of events by name, with what the history and the horizon see of them. */
export function eventsOf(events: readonly CalendarEvent[]): ProphetEvents[] {
  const byName = new Map<string, ProphetEvents['spans'][number][]>();
  for (const { name, startMs, endMs } of events) {
    const spans = byName.get(name) ?? [];
    byName.set(name, spans);
    spans.push({ startSeconds: Math.round(startMs / 1000), endSeconds: Math.round(endMs / 1000) });
  }
  return [...byName].map(([name, spans]) => ({ name, spans }));
}

const constant = (value: number, length: number): number[] => new Array<number>(length).fill(value);

/**
 * Prophet as a member: linear, flat or capped trend with changepoints, a Fourier series for each season that the
 * history covers, the calendar's events as its holidays, and the regressors it is given.
 */
export const prophet: Forecaster = {
  name: 'prophet',
  forecast(history, horizon, context) {
    const { seasonSteps, startMs, stepMs, prophet: settings = {} } = context;
    const skip = Math.max(0, history.length - MAX_POINTS);
    const values = history.subarray(skip);
    if (values.length < 20 || stepMs < 1000) return undefined;
    const seasons = seasonSteps.filter((season) => values.length >= COVERED * season);
    // Without any seasonal term the library traps.
    if (seasons.length === 0) return undefined;
    const first = startMs + skip * stepMs;
    const frame = (from: number, length: number): ProphetFrame => ({
      // The library takes whole seconds only.
      seconds: Array.from({ length }, (_, i) => Math.round((first + (from + i) * stepMs) / 1000)),
      ...capsOf(settings, length),
      ...regressorsOf(context, skip + from, length),
    });
    const events = eventsOf(context.events ?? []);
    return prophetForecast(frame(0, values.length), Array.from(values), frame(values.length, horizon), {
      scaling: 'minMax',
      growth: settings.growth ?? 'linear',
      daily: 'off',
      weekly: 'off',
      yearly: 'off',
      iterations: ITERATIONS,
      ...(settings.changepointPriorScale === undefined
        ? {}
        : { changepointPriorScale: settings.changepointPriorScale }),
      ...(settings.seasonalityMode === undefined ? {} : { seasonalityMode: settings.seasonalityMode }),
      seasonalities: seasons.map((season, i) => ({
        name: `season${i}`,
        periodDays: (season * stepMs) / DAY_MS,
        fourierOrder: Math.max(2, Math.min(MAX_ORDER, Math.floor(season / 4))),
      })),
      ...(events.length > 0 ? { events } : {}),
      regressors: [...(context.regressors?.keys() ?? [])].map((name) => ({ name })),
    }).point;
  },
};

function capsOf(
  settings: NonNullable<ForecasterContext['prophet']>,
  length: number,
): Pick<ProphetFrame, 'cap' | 'floor'> {
  if (settings.growth !== 'logistic' || settings.cap === undefined) return {};
  return { cap: constant(settings.cap, length), floor: constant(settings.floor ?? 0, length) };
}

function regressorsOf(
  { regressors }: ForecasterContext,
  from: number,
  length: number,
): Pick<ProphetFrame, 'regressors'> {
  if (regressors === undefined || regressors.size === 0) return {};
  return {
    regressors: Object.fromEntries(
      [...regressors].map(([name, x]) => [name, Array.from({ length }, (_, i) => x[from + i] ?? 0)]),
    ),
  };
}
