import type { Forecaster } from '../types.js';
import { arima } from './arima.js';
import { mstl } from './mstl.js';
import { prophet } from './prophet.js';
import { ridgeAr } from './ridge-ar.js';
import { level, profile, seasonalNaive } from './simple.js';

/** Every forecaster by name. */
export const FORECASTERS: ReadonlyMap<string, Forecaster> = new Map(
  [
    seasonalNaive('shortest'),
    seasonalNaive('longest'),
    level(3),
    level(12),
    level(72),
    profile(7, 1, 0),
    profile(4, 2, 0.7),
    ridgeAr(2, false),
    ridgeAr(2, true),
    mstl,
    arima,
    prophet,
  ].map((forecaster) => [forecaster.name, forecaster]),
);
