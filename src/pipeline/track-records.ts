import {
  type BucketRecord,
  type Forecast,
  type NamedRecord,
  REMEMBERED_ORIGINS,
  type RealisedBucket,
} from '../forecast/index.js';
import type { StoreClient } from '../store/index.js';

type Client = Pick<StoreClient, 'query' | 'insertRows'>;

/** The combined forecast among the models of a record. */
const ENSEMBLE = 'ensemble';
/** Series that are asked for in one query: an answer stays well below what one string can hold. */
const SERIES_A_QUERY = 100;

interface StoredRecord {
  readonly seriesId: string;
  readonly bucket: string;
  readonly origin: string;
  readonly models: readonly string[];
  readonly errors: readonly number[];
  readonly meanAbsolute: number;
  readonly meanActual: number;
  readonly steps: number;
  readonly standardised: readonly number[];
  readonly missed: readonly number[];
  readonly widening: readonly number[];
}

/**
 * What forecasts of each series turned out to be worth: kept in the store, read once, remembered since. The next forecast
 * chooses its members and calibrates its bands by it.
 */
export class TrackRecords {
  readonly #client: Client;
  readonly #gateway: string;
  readonly #records = new Map<string, Map<string, readonly BucketRecord[]>>();

  constructor(client: Client, gateway: string) {
    this.#client = client;
    this.#gateway = gateway;
  }

  /** Records by series; those that were not asked for before are read from the store. */
  async of(seriesIds: readonly string[], sinceMs: number): Promise<(seriesId: string) => NamedRecord> {
    const unknown = seriesIds.filter((id) => !this.#records.has(id));
    for (let i = 0; i < unknown.length; i += SERIES_A_QUERY)
      await this.#read(unknown.slice(i, i + SERIES_A_QUERY), sinceMs);
    return (seriesId) => this.#records.get(seriesId) ?? new Map();
  }

  /** Remembers what became known with these forecasts, and stores it. */
  async add(forecasts: readonly Forecast[], nowMs: number): Promise<void> {
    const rows: Record<string, unknown>[] = [];
    for (const { seriesId, realised } of forecasts) {
      for (const one of realised) {
        this.#remember(seriesId, one.bucket, one.record);
        rows.push(...rowsOf(this.#gateway, seriesId, one, nowMs));
      }
    }
    await this.#client.insertRows('forecast_errors', rows);
  }

  /** Forgets series that are no longer forecast. */
  keepOnly(seriesIds: readonly string[]): void {
    const wanted = new Set(seriesIds);
    for (const id of this.#records.keys()) if (!wanted.has(id)) this.#records.delete(id);
  }

  #remember(seriesId: string, bucket: string, record: BucketRecord): void {
    const buckets = this.#records.get(seriesId) ?? new Map<string, readonly BucketRecord[]>();
    this.#records.set(seriesId, buckets);
    const all = [...(buckets.get(bucket) ?? []), record].sort((a, b) => b.origin - a.origin);
    buckets.set(bucket, all.slice(0, REMEMBERED_ORIGINS));
  }

  async #read(seriesIds: readonly string[], sinceMs: number): Promise<void> {
    for (const id of seriesIds) this.#records.set(id, new Map());
    const rows = await this.#client.query<StoredRecord>(
      `SELECT seriesId, bucket, toUnixTimestamp64Milli(created) AS origin,
         groupArrayIf(model, model != '${ENSEMBLE}') AS models, groupArrayIf(meanAbsoluteError, model != '${ENSEMBLE}') AS errors,
         anyIf(scale, model = '${ENSEMBLE}') AS meanActual, anyIf(steps, model = '${ENSEMBLE}') AS steps,
         anyIf(standardised, model = '${ENSEMBLE}') AS standardised, anyIf(missed, model = '${ENSEMBLE}') AS missed,
         anyIf(widening, model = '${ENSEMBLE}') AS widening, anyIf(meanAbsoluteError, model = '${ENSEMBLE}') AS meanAbsolute
       FROM (
         SELECT * FROM forecast_errors
         WHERE gateway = {gateway:String} AND seriesId IN {ids:Array(String)} AND created >= fromUnixTimestamp64Milli({since:Int64})
         ORDER BY realised DESC LIMIT 1 BY seriesId, bucket, created, model
       )
       GROUP BY seriesId, bucket, created HAVING steps > 0
       ORDER BY created DESC LIMIT {remembered:UInt32} BY seriesId, bucket`,
      {
        params: {
          gateway: this.#gateway,
          ids: seriesIds,
          since: Math.round(sinceMs),
          remembered: REMEMBERED_ORIGINS,
        },
      },
    );
    for (const row of rows) this.#remember(row.seriesId, row.bucket, recordOf(row));
  }
}

const recordOf = (row: StoredRecord): BucketRecord => ({
  origin: Number(row.origin),
  members: row.models,
  errors: row.errors.map(Number),
  meanAbsolute: Number(row.meanAbsolute),
  meanActual: Number(row.meanActual),
  standardised: row.standardised.map(Number),
  count: Number(row.steps),
  missed: row.missed.map(Number),
  widening: row.widening.map(Number),
});

/** One row for the combined forecast, one for each member. */
function rowsOf(
  gateway: string,
  seriesId: string,
  { bucket, record, errors }: RealisedBucket,
  nowMs: number,
): Record<string, unknown>[] {
  const common = {
    created: new Date(record.origin).toISOString(),
    gateway,
    seriesId,
    bucket,
    scale: record.meanActual,
    steps: record.count,
    realised: new Date(nowMs).toISOString(),
  };
  return [
    {
      ...common,
      model: ENSEMBLE,
      meanAbsoluteError: record.meanAbsolute,
      errors,
      standardised: record.standardised,
      missed: record.missed,
      widening: record.widening,
    },
    ...record.members.map((model, i) => ({ ...common, model, meanAbsoluteError: record.errors[i]! })),
  ];
}
