import { populationStability } from './vectors.js';

/** How a workload's packets and vectors looked lately and before. */
export interface DriftState {
  /** Shares of packet sizes summed over flows, forgotten slowly and fast. */
  slow: Float32Array;
  fast: Float32Array;
  /** Averages of the reconstruction error, and of the distance (1 − similarity) of its endpoints. */
  errorSlow: number;
  errorFast: number;
  distanceSlow: number;
  distanceFast: number;
  /** Flows behind the histograms. */
  flows: number;
  /** Flows behind the averages of error and distance: those that the present encoder saw. */
  judged: number;
  /** A change was reported and has not yet become the new normal. */
  alarmed: boolean;
}

const FAST_FLOWS = 50;
const SLOW_FLOWS = 1000;
/** Flows before anything is called a change. */
const WARM_UP = 200;
const SHIFT = 0.25;
/** A size shift that needs no second sign: one device's captures in turn shift by up to 0.43 (docs/fingerprints.md). */
const SEVERE_SHIFT = 0.6;
const SETTLED = 0.1;
const ERROR_RATIO = 2;
const DISTANCE_RISE = 0.25;

export const newDrift = (bins: number): DriftState => ({
  slow: new Float32Array(bins),
  fast: new Float32Array(bins),
  errorSlow: 0,
  errorFast: 0,
  distanceSlow: 0,
  distanceFast: 0,
  flows: 0,
  judged: 0,
  alarmed: false,
});

const step = (average: number, value: number, weight: number): number => average + (value - average) * weight;

export interface DriftReading {
  readonly sizeDrift: number;
  readonly errorRatio: number;
  readonly distanceRise: number;
  /** Two of the three signs agree, or the sizes shifted severely, for the first time since they settled. */
  readonly changed: boolean;
}

/**
 * Takes in what one batch showed of a workload. A change is called when two of three signs agree (or the first is severe): the size
 * histogram (population stability index), the reconstruction error, the distance to the workload's centre.
 */
export function observeDrift(
  state: DriftState,
  sizes: Float32Array,
  error: number,
  distance: number,
  flows: number,
): DriftReading {
  const fastKeep = Math.exp(-flows / FAST_FLOWS);
  const slowKeep = Math.exp(-flows / SLOW_FLOWS);
  // Every flow weighs the same: a single bulk transfer must not outvote a thousand exchanges.
  const packets = sizes.reduce((sum, count) => sum + count, 0);
  const perPacket = packets > 0 ? flows / packets : 0;
  for (let i = 0; i < sizes.length; i += 1) {
    state.fast[i] = state.fast[i]! * fastKeep + sizes[i]! * perPacket;
    state.slow[i] = state.slow[i]! * slowKeep + sizes[i]! * perPacket;
  }
  // The first averages are plain means: an average that starts at 0 would look like a change.
  const fastWeight = Math.max(1 - fastKeep, flows / (state.judged + flows));
  const slowWeight = Math.max(1 - slowKeep, flows / (state.judged + flows));
  state.errorFast = step(state.errorFast, error, fastWeight);
  state.errorSlow = step(state.errorSlow, error, slowWeight);
  state.distanceFast = step(state.distanceFast, distance, fastWeight);
  state.distanceSlow = step(state.distanceSlow, distance, slowWeight);
  state.flows += flows;
  state.judged += flows;

  const sizeDrift = populationStability(state.slow, state.fast);
  const errorRatio = state.errorSlow > 0 ? state.errorFast / state.errorSlow : 1;
  const distanceRise = state.distanceFast - state.distanceSlow;
  const signs =
    Number(sizeDrift > SHIFT) + Number(errorRatio > ERROR_RATIO) + Number(distanceRise > DISTANCE_RISE);
  const changed = !state.alarmed && state.flows >= WARM_UP && (signs >= 2 || sizeDrift > SEVERE_SHIFT);
  if (changed) state.alarmed = true;
  else if (signs === 0 && sizeDrift < SETTLED) state.alarmed = false;
  return { sizeDrift, errorRatio, distanceRise, changed };
}

/** The current population stability index of a state. */
export const sizeDriftOf = (state: DriftState): number => populationStability(state.slow, state.fast);
