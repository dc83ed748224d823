export { REMEMBERED_ORIGINS, type RealisedBucket } from './catch-up.js';
export { forecastSeries } from './ensemble.js';
export { EXTRA_FORECASTERS } from './members/index.js';
export { assertModels } from './models.js';
export { ForecastPool, type ForecastPoolOptions } from './pool.js';
export type { BucketRecord, NamedRecord } from './recipe/record.js';
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
