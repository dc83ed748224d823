import { applications } from './applications.js';
import { forecastRecords } from './forecast-records.js';
import { planRecords } from './plan-records.js';
import { records } from './records.js';
import type { SchemaStatement } from './statement.js';
import { flowsAndUsage, widerFlows } from './usage.js';
import { views } from './views.js';

export { localTable, type Placement, render, type SchemaStatement } from './statement.js';

/** One numbered change of the schema. Each statement is idempotent, so a migration that was cut off runs again. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: readonly SchemaStatement[];
}

/**
 * Every change so far, in order. A number is never reused, and a published migration is never edited, except for its views:
 * they hold no rows, and every start makes them anew.
 */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'flows and usage rollups', statements: flowsAndUsage },
  { version: 2, name: 'workloads, forecasts, plans, journal', statements: records },
  { version: 3, name: 'views for people', statements: views },
  { version: 4, name: 'what choice and bands of forecasts rest on', statements: forecastRecords },
  { version: 5, name: 'names and header fields of applications', statements: applications },
  { version: 6, name: 'what plans rent', statements: planRecords },
  { version: 7, name: 'parts of large inserts are wide', statements: widerFlows },
];

/** Days after which rows of a table expire, of those that are kept for days and not for ever. */
export const EXPIRY_DAYS: ReadonlyMap<string, number> = new Map(
  MIGRATIONS.flatMap(({ statements }) => statements).flatMap((statement) => {
    const days = statement.kind === 'table' ? /INTERVAL (\d+) DAY/.exec(statement.layout)?.[1] : undefined;
    return statement.kind === 'table' && days !== undefined ? [[statement.name, Number(days)] as const] : [];
  }),
);
