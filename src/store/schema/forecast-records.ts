import type { SchemaStatement } from './statement.js';

/** A forecast is made from the realised errors of the ones before, so those are kept in the form in which they are used. */
export const forecastRecords: readonly SchemaStatement[] = [
  {
    kind: 'columns',
    table: 'forecast_errors',
    columns: [
      "standardised Array(Float32) COMMENT 'ensemble: errors by their scale when it was forecast, as a digest' CODEC(ZSTD(1))",
      "steps UInt32 COMMENT 'steps that the errors stand for'",
      "missed Array(Float64) COMMENT 'ensemble: share of the values above each quantile'",
      "widening Array(Float64) COMMENT 'ensemble: how much the bands were widened after this, by quantile, as a logarithm'",
    ],
  },
  {
    kind: 'columns',
    table: 'forecasts',
    columns: [
      "notes Array(String) COMMENT 'season, borrowed history, events and changes that it rests on, in words'",
    ],
  },
];
