import type { Donor, Signal } from '../forecast/index.js';
import type { StoreClient } from '../store/index.js';
import { trafficOf } from './cycle-history.js';
import { type LinkUsage, readUsage, type UsageWindow } from './usage-history.js';

/** Fingerprints less alike than this are other workloads. */
const ALIKE = 0.8;
const DONORS = 3;

interface KinRow {
  readonly workloadId: number;
  readonly gateway: string;
  readonly donorId: number;
  readonly name: string;
  readonly similarity: number;
}

/** The older workloads, of any gateway in the store, whose fingerprints are nearest to some young ones. */
export class Kindred {
  readonly #kin: readonly KinRow[];
  readonly #usage: ReadonlyMap<string, readonly LinkUsage[]>;

  private constructor(kin: readonly KinRow[], usage: ReadonlyMap<string, readonly LinkUsage[]>) {
    this.#kin = kin;
    this.#usage = usage;
  }

  /**
   * Looks for kin of `young` and reads what they did over the window.
   *
   * @param bornBeforeMs donors have been known since then at least
   */
  static async find(
    client: Pick<StoreClient, 'query'>,
    window: UsageWindow,
    young: readonly number[],
    bornBeforeMs: number,
  ): Promise<Kindred> {
    if (young.length === 0) return new Kindred([], new Map());
    const kin = await client.query<KinRow>(
      `SELECT y.workloadId AS workloadId, d.gateway AS gateway, d.workloadId AS donorId, d.name AS name,
         1 - cosineDistance(y.fingerprint, d.fingerprint) AS similarity
       FROM (SELECT workloadId, modelId, fingerprint FROM workloads FINAL
             WHERE gateway = {gateway:String} AND workloadId IN {young:Array(UInt32)} AND notEmpty(fingerprint)) AS y
       INNER JOIN (SELECT gateway, workloadId, name, modelId, fingerprint FROM workloads FINAL
             WHERE firstSeen <= fromUnixTimestamp64Milli({born:Int64}) AND notEmpty(fingerprint)) AS d ON y.modelId = d.modelId
       WHERE similarity >= {alike:Float64} AND NOT (d.gateway = {gateway:String} AND d.workloadId = y.workloadId)
       ORDER BY similarity DESC LIMIT {donors:UInt32} BY workloadId`,
      {
        params: {
          gateway: window.gateway,
          young,
          born: Math.round(bornBeforeMs),
          alike: ALIKE,
          donors: DONORS,
        },
      },
    );
    const usage = new Map<string, readonly LinkUsage[]>();
    for (const gateway of new Set(kin.map((row) => row.gateway))) {
      const workloadIds = [
        ...new Set(kin.filter((row) => row.gateway === gateway).map((row) => row.donorId)),
      ];
      for (const one of await readUsage(client, { ...window, gateway, workloadIds })) {
        const key = `${gateway}/${one.workloadId}`;
        usage.set(key, [...(usage.get(key) ?? []), one]);
      }
    }
    return new Kindred(kin, usage);
  }

  /** Donors of a workload's signal, the most alike first. */
  donorsOf(workloadId: number, signal: Signal): Donor[] {
    return this.#kin
      .filter((row) => Number(row.workloadId) === workloadId)
      .flatMap((row) => {
        const links = this.#usage.get(`${row.gateway}/${row.donorId}`);
        const history = links && trafficOf(links, signal);
        return history === undefined
          ? []
          : [{ name: row.name, history, similarity: Math.min(1, Number(row.similarity)) }];
      });
  }
}

/** When the fingerprint of workloads was last seen to change, Unix time by workload. */
export async function changesSince(
  client: Pick<StoreClient, 'query'>,
  gateway: string,
  sinceMs: number,
): Promise<ReadonlyMap<number, number>> {
  const rows = await client.query<{ workloadId: number; atMs: string }>(
    `SELECT workloadId, toUnixTimestamp64Milli(max(time)) AS atMs FROM events
     WHERE gateway = {gateway:String} AND kind = 'workload_changed' AND time >= fromUnixTimestamp64Milli({since:Int64})
     GROUP BY workloadId`,
    { params: { gateway, since: Math.round(sinceMs) } },
  );
  return new Map(rows.map((row) => [Number(row.workloadId), Number(row.atMs)]));
}
