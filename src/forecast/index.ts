export { forecastSeries } from './ensemble.js';
export { FORECASTERS } from './members/index.js';
export { ForecastPool, type ForecastPoolOptions } from './pool.js';
export type { ResourceCoefficients } from './resource-coefficients.js';
export type {
  Forecast,
  Forecaster,
  ForecastRequest,
  MixEntry,
  QuantilePath,
  SeriesHistory,
  Signal,
} from './types.js';
