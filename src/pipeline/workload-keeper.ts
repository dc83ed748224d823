import type { WorkloadRegistry } from '../fingerprint/index.js';
import type { StoreClient } from '../store/index.js';

const iso = (ms: number): string => new Date(ms).toISOString();

/** Writes workloads and their events into the store, and reads how busy each is. */
export class WorkloadKeeper {
  readonly #client: StoreClient;
  readonly #gateway: string;
  readonly #registry: WorkloadRegistry;
  readonly #modelId: string;
  readonly #kept = new Map<number, number>();

  constructor(client: StoreClient, gateway: string, registry: WorkloadRegistry, modelId: string) {
    this.#client = client;
    this.#gateway = gateway;
    this.#registry = registry;
    this.#modelId = modelId;
  }

  /** Keeps what changed since the last call. @returns workload → bit/s over the last seconds */
  async keep(nowMs: number): Promise<Map<number, number>> {
    const changed = this.#registry.workloads().filter((w) => this.#kept.get(w.workloadId) !== w.flows);
    await this.#client.insertRows(
      'workloads',
      changed.map((w) => ({
        gateway: this.#gateway,
        workloadId: w.workloadId,
        name: w.name,
        fingerprint: [...w.fingerprint],
        modelId: this.#modelId,
        firstSeen: iso(w.firstSeenMs),
        lastSeen: iso(w.lastSeenMs),
        flows: w.flows,
        details: JSON.stringify({
          namedBy: w.namedBy,
          service: w.service,
          endpoints: w.endpoints,
          reconstructionError: w.reconstructionError,
          sizeDrift: w.sizeDrift,
        }),
        updated: iso(nowMs),
      })),
    );
    for (const w of changed) this.#kept.set(w.workloadId, w.flows);
    const events = this.#registry.takeEvents();
    await this.#client.insertRows(
      'events',
      events.map((event) => ({
        time: iso(event.atMs),
        gateway: this.#gateway,
        kind: `workload_${event.kind}`,
        workloadId: event.workloadId,
        words: event.words,
        details: JSON.stringify(event.details),
      })),
    );
    const rows = await this.#client.query<{ workloadId: number; bps: number }>(
      `SELECT workloadId, toFloat64(sum(octetsOut + octetsIn)) * 8 / 10 AS bps FROM usage_1s
       WHERE gateway = {gateway:String} AND time > now() - 13 AND time <= now() - 3 GROUP BY workloadId`,
      { params: { gateway: this.#gateway } },
    );
    return new Map(rows.map((row) => [Number(row.workloadId), Number(row.bps)]));
  }
}
