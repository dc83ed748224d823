import { initSync, Prophet, type ProphetHoliday } from '@bsull/augurs/prophet';
import { optimizer } from '@bsull/augurs-prophet-wasmstan';
import { withoutUndefined } from '../../base/without-undefined.js';
import { augursModule } from './wasm.js';

/** A Fourier series of one period. */
export interface ProphetSeasonality {
  readonly name: string;
  readonly periodDays: number;
  readonly fourierOrder: number;
  readonly mode?: 'additive' | 'multiplicative';
  readonly priorScale?: number;
  /** Only where the condition of this name holds, see {@link ProphetFrame.conditions}. */
  readonly condition?: string;
}

/** A named kind of event with its spans, Unix seconds. */
export interface ProphetEvents {
  readonly name: string;
  readonly spans: readonly { readonly startSeconds: number; readonly endSeconds: number }[];
  readonly priorScale?: number;
}

/** Prophet's own options, by its own names; what is absent has Prophet's default. */
export interface ProphetOptions {
  readonly growth?: 'linear' | 'logistic' | 'flat';
  /** `auto` = as Prophet decides by the length of the history; a number = the Fourier order. */
  readonly yearly?: 'auto' | 'off' | number;
  readonly weekly?: 'auto' | 'off' | number;
  readonly daily?: 'auto' | 'off' | number;
  readonly seasonalities?: readonly ProphetSeasonality[];
  readonly seasonalityMode?: 'additive' | 'multiplicative';
  readonly seasonalityPriorScale?: number;
  readonly changepointPriorScale?: number;
  /** Unix seconds. */
  readonly changepoints?: readonly number[];
  readonly changepointCount?: number;
  readonly changepointRange?: number;
  readonly events?: readonly ProphetEvents[];
  readonly eventsPriorScale?: number;
  readonly regressors?: readonly {
    readonly name: string;
    readonly mode?: 'additive' | 'multiplicative';
    readonly priorScale?: number;
  }[];
  readonly scaling?: 'absMax' | 'minMax';
  /** Two-sided width of the interval; absent = none is computed. */
  readonly intervalWidth?: number;
  readonly uncertaintySamples?: number;
  /** L-BFGS steps at most; the gain beyond 300 is small and the time to convergence depends on the data. */
  readonly iterations?: number;
}

/** Columns of a history or a future; all as long as `seconds`. */
export interface ProphetFrame {
  /** Unix seconds, whole. */
  readonly seconds: readonly number[];
  /** Logistic growth needs it in the history and in the future. */
  readonly cap?: readonly number[];
  readonly floor?: readonly number[];
  readonly regressors?: Readonly<Record<string, readonly number[]>>;
  readonly conditions?: Readonly<Record<string, readonly boolean[]>>;
}

export interface ProphetPrediction {
  readonly point: Float64Array;
  readonly lower: Float64Array | undefined;
  readonly upper: Float64Array | undefined;
}

const DEFAULT_ITERATIONS = 2000;

let loaded = false;
/** The module is compiled once a thread. */
function load(): void {
  if (loaded) return;
  initSync({ module: augursModule('prophet') });
  loaded = true;
}

const seasonality = (setting: 'auto' | 'off' | number | undefined) =>
  setting === undefined || setting === 'auto'
    ? ({ type: 'auto' } as const)
    : setting === 'off'
      ? ({ type: 'manual', enabled: false } as const)
      : ({ type: 'fourier', order: setting } as const);

function holidaysOf(events: readonly ProphetEvents[]): Map<string, ProphetHoliday> {
  return new Map(
    events.map(({ name, spans, priorScale }) => [
      name,
      {
        occurrences: spans.map(({ startSeconds, endSeconds }) => ({ start: startSeconds, end: endSeconds })),
        ...withoutUndefined({ priorScale }),
      },
    ]),
  );
}

const columnsOf = (frame: ProphetFrame) => ({
  ds: [...frame.seconds],
  ...withoutUndefined({
    cap: frame.cap && [...frame.cap],
    floor: frame.floor && [...frame.floor],
    x: frame.regressors && new Map(Object.entries(frame.regressors).map(([name, x]) => [name, [...x]])),
    seasonalityConditions:
      frame.conditions && new Map(Object.entries(frame.conditions).map(([name, x]) => [name, [...x]])),
  }),
});

/**
 * Prophet (Taylor and Letham, "Forecasting at scale", 2018) with its own Stan model in WebAssembly: fits a history and
 * predicts a future. Maximum a posteriori only; intervals by sampling the trend's changes and the noise.
 *
 * @param y as long as `history.seconds`, finite
 * @throws what the library throws; a trap inside it comes as an error too
 */
export function prophetForecast(
  history: ProphetFrame,
  y: readonly number[],
  future: ProphetFrame,
  options: ProphetOptions,
): ProphetPrediction {
  load();
  const model = new Prophet({
    optimizer,
    ...withoutUndefined({
      growth: options.growth,
      yearlySeasonality: seasonality(options.yearly),
      weeklySeasonality: seasonality(options.weekly),
      dailySeasonality: seasonality(options.daily),
      seasonalityMode: options.seasonalityMode,
      seasonalityPriorScale: options.seasonalityPriorScale,
      changepointPriorScale: options.changepointPriorScale,
      changepoints: options.changepoints && [...options.changepoints],
      nChangepoints: options.changepointCount,
      changepointRange: options.changepointRange,
      holidays: options.events && holidaysOf(options.events),
      holidaysPriorScale: options.eventsPriorScale,
      scaling: options.scaling,
      intervalWidth: options.intervalWidth,
      uncertaintySamples: options.intervalWidth === undefined ? 0 : options.uncertaintySamples,
    }),
  });
  try {
    for (const { name, mode, priorScale } of options.regressors ?? [])
      model.addRegressor(name, withoutUndefined({ mode, priorScale }));
    for (const { name, periodDays, fourierOrder, mode, priorScale, condition } of options.seasonalities ?? [])
      model.addSeasonality(name, {
        period: periodDays,
        fourierOrder,
        ...withoutUndefined({ mode, priorScale, conditionName: condition }),
      });
    model.fit({ ...columnsOf(history), y: [...y] }, { iter: options.iterations ?? DEFAULT_ITERATIONS });
    const { yhat } = model.predict(columnsOf(future));
    return {
      point: Float64Array.from(yhat.point),
      lower: yhat.intervals && Float64Array.from(yhat.intervals.lower),
      upper: yhat.intervals && Float64Array.from(yhat.intervals.upper),
    };
  } finally {
    try {
      model.free();
    } catch {
      // After a trap inside the library the model counts as borrowed for ever; the trap itself is what is reported.
    }
  }
}
