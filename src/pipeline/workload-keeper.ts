import { cosine, type Workload, type WorkloadRegistry } from '../fingerprint/index.js';
import { type StoreClient, writeReferences } from '../store/index.js';

const iso = (ms: number): string => new Date(ms).toISOString();

/** A centre is written again when it has moved further than this from where it was written last (1 − cosine). */
const MOVED = 0.005;

const hasVector = ({ fingerprint }: Workload): boolean => fingerprint.some((value) => value !== 0);

/** Changes when the store should be told: new flows, another name, another encoder, a vector learnt anew. */
const tellable = (workload: Workload, modelId: string): string =>
  `${modelId} ${hasVector(workload)} ${workload.flows} ${workload.namedBy} ${workload.name}`;

/** Writes workloads, their vectors and their events into the store, and reads how busy each is. */
export class WorkloadKeeper {
  readonly #client: StoreClient;
  readonly #gateway: string;
  readonly #registry: WorkloadRegistry;
  /** Workload → what of it the store has. */
  readonly #kept = new Map<number, string>();
  /** The model that the store was told of last: vectors of flow records from then on are its. */
  #modelTold = '';
  /** What the store has of each centre, and of which model. */
  readonly #references = new Map<number, { readonly modelId: string; readonly vector: Float32Array }>();

  constructor(client: StoreClient, gateway: string, registry: WorkloadRegistry) {
    this.#client = client;
    this.#gateway = gateway;
    this.#registry = registry;
  }

  /** Keeps what changed since the last call. @returns workload → bit/s over the last seconds */
  async keep(nowMs: number): Promise<Map<number, number>> {
    const { modelId } = this.#registry;
    const changed = this.#registry
      .workloads()
      .filter((w) => this.#kept.get(w.workloadId) !== tellable(w, modelId));
    await this.#client.insertRows(
      'workloads',
      changed.map((w) => ({
        gateway: this.#gateway,
        workloadId: w.workloadId,
        name: w.name,
        fingerprint: [...w.fingerprint],
        modelId,
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
    for (const w of changed) this.#kept.set(w.workloadId, tellable(w, modelId));
    await this.#keepReferences(modelId, nowMs);
    const events = this.#registry.takeEvents();
    if (this.#modelTold !== modelId) {
      await this.#client.insertRows('events', [
        {
          time: iso(nowMs),
          gateway: this.#gateway,
          kind: 'fingerprint_model',
          workloadId: 0,
          words: `fingerprints are made by the model ${modelId}`,
          details: JSON.stringify({ modelId }),
        },
      ]);
      this.#modelTold = modelId;
    }
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

  /** So that others, and this gateway after a loss of its memory, find what resembles them. */
  async #keepReferences(modelId: string, nowMs: number): Promise<void> {
    const moved = this.#registry.workloads().filter((workload) => {
      if (!hasVector(workload)) return false;
      const kept = this.#references.get(workload.workloadId);
      return kept?.modelId !== modelId || 1 - cosine(kept.vector, workload.fingerprint) > MOVED;
    });
    const references = moved.map(({ workloadId, fingerprint }) => ({ workloadId, modelId, fingerprint }));
    await writeReferences(this.#client, this.#gateway, references, nowMs);
    for (const { workloadId, fingerprint } of references)
      this.#references.set(workloadId, { modelId, vector: fingerprint });
  }
}
