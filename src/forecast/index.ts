export { BORROWING_SEASONS } from './borrow.js';
export { type CalendarRule, occurrences, type RegressorRule, regressorValues } from './calendar.js';
export { REMEMBERED_ORIGINS, type RealisedBucket } from './catch-up.js';
export { forecastConfig } from './config.js';
export { forecastSeries } from './ensemble.js';
export { EXTRA_FORECASTERS } from './members/index.js';
export { assertModels, MODEL_NAMES } from './models.js';
export { ForecastPool, type ForecastPoolOptions } from './pool.js';
export type { BucketRecord, NamedRecord } from './recipe/record.js';
export type { ResourceCoefficients } from './resource-coefficients.js';
export type {
  CalendarEvent,
  Donor,
  Forecast,
  Forecaster,
  ForecastRequest,
  MixEntry,
  ModelFailure,
  ProphetSettings,
  QuantilePath,
  SeriesHistory,
  Signal,
} from './types.js';
