import type { Forecaster } from '../types.js';
import { arima } from './arima.js';
import { mstl } from './mstl.js';
import { prophet } from './prophet.js';

/** Forecasters beyond the recipe's own members: slower, with features of their own, asked for by name. */
export const EXTRA_FORECASTERS: ReadonlyMap<string, Forecaster> = new Map(
  [prophet, mstl, arima].map((forecaster) => [forecaster.name, forecaster]),
);
