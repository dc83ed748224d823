import { FINGERPRINT_DIMENSIONS } from '../flow/columns.js';
import type { StoreClient } from './client.js';

/** The centre of a workload, to be found again by what resembles it. */
export interface ReferenceVector {
  readonly workloadId: number;
  /** The encoder that made it: only vectors of one encoder are compared. */
  readonly modelId: string;
  /** [32], unit length. */
  readonly fingerprint: Float32Array;
}

/** A known workload that resembles what was asked for, and what is known of it. */
export interface SimilarWorkload {
  readonly gateway: string;
  readonly workloadId: number;
  readonly name: string;
  /** Cosine, −1..1. */
  readonly similarity: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly flows: number;
  /** Hours with traffic that its history has, and the octets in them. */
  readonly historyHours: number;
  readonly historyOctets: number;
}

/** What runs the queries: a store's client, or something that also remembers them. */
export interface VectorReader {
  query<Row>(
    sql: string,
    options: {
      readonly params: Readonly<Record<string, string | number | readonly string[] | readonly number[]>>;
    },
  ): Promise<Row[]>;
}

export interface SimilarOptions {
  readonly vector: ArrayLike<number>;
  readonly modelId: string;
  readonly count: number;
  /** Compare with every vector instead of asking the index. */
  readonly exact?: boolean;
}

/** Writes vectors; the newest of a workload counts. @param gateway whose workloads they are */
export async function writeReferences(
  client: Pick<StoreClient, 'insertRows'>,
  gateway: string,
  references: readonly ReferenceVector[],
  nowMs: number,
): Promise<void> {
  await client.insertRows(
    'reference_fingerprints',
    references.map(({ workloadId, modelId, fingerprint }) => ({
      gateway,
      referenceId: workloadId,
      workloadId,
      modelId,
      fingerprint: [...fingerprint],
      updated: new Date(nowMs).toISOString(),
    })),
  );
}

/** Rows asked for beyond those wanted: a workload may have older vectors that are not yet merged away. */
const SPARE = 4;

/**
 * Workloads of any gateway that resemble a vector of the same encoder, best first, with the history behind them.
 * The index (HNSW, cosine distance) is asked first; where it gives too few, every vector is compared.
 * @throws RangeError when the vector is not one, TG_STORE_…
 */
export async function similarWorkloads(
  client: VectorReader,
  options: SimilarOptions,
): Promise<SimilarWorkload[]> {
  const { vector, count } = options;
  if (vector.length !== FINGERPRINT_DIMENSIONS || !Array.from(vector).every(Number.isFinite))
    throw new RangeError(`a fingerprint has ${FINGERPRINT_DIMENSIONS} finite numbers`);
  const found = options.exact ? [] : await nearest(client, options, false);
  const wanted = found.length >= count ? found : await nearest(client, options, true);
  if (wanted.length === 0) return [];
  const facts = await client.query<Facts>(
    `SELECT w.gateway AS gateway, w.workloadId AS workloadId, w.name AS name, w.flows AS flows,
       toUnixTimestamp64Milli(w.firstSeen) AS firstSeenMs, toUnixTimestamp64Milli(w.lastSeen) AS lastSeenMs,
       h.hours AS hours, h.octets AS octets
     FROM (SELECT * FROM workloads FINAL WHERE ${AMONG}) AS w
     LEFT JOIN (
       SELECT gateway, workloadId, uniqExact(time) AS hours, sum(octetsOut + octetsIn) AS octets FROM usage_1h
       WHERE ${AMONG} GROUP BY gateway, workloadId
     ) AS h ON h.gateway = w.gateway AND h.workloadId = w.workloadId`,
    { params: keysOf(wanted) },
  );
  const byKey = new Map(facts.map((row) => [`${row.gateway} ${row.workloadId}`, row]));
  return wanted.map(({ gateway, workloadId, similarity }) => {
    const of = byKey.get(`${gateway} ${workloadId}`);
    return {
      gateway,
      workloadId,
      name: of?.name ?? '',
      similarity,
      firstSeenMs: Number(of?.firstSeenMs ?? 0),
      lastSeenMs: Number(of?.lastSeenMs ?? 0),
      flows: Number(of?.flows ?? 0),
      historyHours: Number(of?.hours ?? 0),
      historyOctets: Number(of?.octets ?? 0),
    };
  });
}

/** Rows of the workloads of {@link keysOf}. */
const AMONG = 'has(arrayZip({gateways:Array(String)}, {workloadIds:Array(UInt32)}), (gateway, workloadId))';

const keysOf = (rows: readonly { readonly gateway: string; readonly workloadId: number }[]) => ({
  gateways: rows.map((row) => row.gateway),
  workloadIds: rows.map((row) => Number(row.workloadId)),
});

interface Facts {
  readonly gateway: string;
  readonly workloadId: number;
  readonly name: string;
  readonly flows: string;
  readonly firstSeenMs: string;
  readonly lastSeenMs: string;
  readonly hours: string;
  readonly octets: string;
}

interface Near {
  readonly gateway: string;
  readonly workloadId: number;
  readonly similarity: number;
}

/** The index names candidates by any of their vectors, also older ones; what counts is the newest of each. */
async function nearest(
  client: VectorReader,
  { vector, modelId, count }: SimilarOptions,
  exact: boolean,
): Promise<Near[]> {
  // The index is only used with a vector that is written out.
  const distance = `cosineDistance(fingerprint, [${Array.from(vector, Number).join(', ')}])`;
  const candidates = exact
    ? undefined
    : await client.query<{ gateway: string; workloadId: number }>(
        `SELECT gateway, workloadId FROM reference_fingerprints WHERE modelId = {modelId:String}
         ORDER BY ${distance} LIMIT {limit:UInt32}`,
        { params: { modelId, limit: count * SPARE } },
      );
  if (candidates?.length === 0) return [];
  const rows = await client.query<{ gateway: string; workloadId: number; distance: number }>(
    `SELECT gateway, workloadId, ${distance} AS distance FROM reference_fingerprints FINAL
     WHERE modelId = {modelId:String}${candidates ? ` AND ${AMONG}` : ''}
     ORDER BY distance, gateway, workloadId LIMIT {count:UInt32}`,
    {
      params: {
        modelId,
        count,
        ...(candidates ? keysOf(candidates) : {}),
      },
    },
  );
  return rows.map((row) => ({
    gateway: row.gateway,
    workloadId: Number(row.workloadId),
    similarity: 1 - Number(row.distance),
  }));
}
