import { join } from 'node:path';
import { Piscina } from 'piscina';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import { childLogger, type Logger } from '../base/logger.js';
import { workerFile } from '../base/worker-file.js';
import { type FingerprintConfig, type ModelInfo, PodLabels, WorkloadRegistry } from '../fingerprint/index.js';
import type { StoreClient } from '../store/index.js';
import { Ingest, type IngestDependencies } from './ingest.js';
import type { IngestWorkerData } from './ingest-worker.js';
import { ModelInUse } from './model-in-use.js';
import { relearnWorkloads } from './relearn.js';
import type { WorkloadStatus } from './status.js';
import { WorkloadMemory } from './workload-memory.js';

export interface RecognitionOptions {
  readonly gateway: string;
  readonly dataDirectory: string;
  readonly config: FingerprintConfig;
  /** Of a store that is up before `start`. */
  readonly client: () => StoreClient;
  readonly logger: Logger;
}

export type IngestOptions = Pick<
  IngestDependencies,
  'source' | 'writer' | 'onAnnotated' | 'logger' | 'observe'
> & {
  readonly workerData: IngestWorkerData;
};

/** What `start` makes. */
interface Parts {
  readonly model: ModelInUse;
  readonly registry: WorkloadRegistry;
  readonly memory: WorkloadMemory;
  readonly pods: PodLabels | undefined;
}

/** One keeps up with some 250k records/s; a second takes over while the first encodes for the store, or dies. */
const INGEST_THREADS = 2;

/**
 * What a gateway knows of its workloads: the encoder in use, the registry with its memory over restarts, the labels
 * of pods that rules name by, and the threads that encode flow records.
 */
export class Recognition implements Component {
  readonly #options: RecognitionOptions;
  #parts: Parts | undefined;
  #pool: Piscina | undefined;

  constructor(options: RecognitionOptions) {
    this.#options = options;
  }

  /** @throws TG_FINGERPRINT_MODEL_… when the configured model cannot be used */
  async start(): Promise<void> {
    const { config, dataDirectory, gateway, client, logger } = this.#options;
    const model = await ModelInUse.open({ configured: config.model, dataDirectory, logger });
    const registry = new WorkloadRegistry({ ...config, modelId: model.current.info.id });
    const file = join(dataDirectory, 'workloads.json');
    const memory = new WorkloadMemory({ client: client(), gateway, registry, file, logger });
    memory.restore();
    const pods = this.#makePods(registry);
    await pods?.start();
    this.#parts = { model, registry, memory, pods };
  }

  async stop(): Promise<void> {
    await this.#parts?.pods?.stop();
    await this.#pool?.destroy();
  }

  /** @throws Error before `start` */
  get registry(): WorkloadRegistry {
    return this.#started().registry;
  }

  /** The way from a source that is attached to the spool, not yet started. Its threads end with `stop`. */
  makeIngest({ workerData, ...options }: IngestOptions): Ingest {
    const { model, registry } = this.#started();
    this.#pool = new Piscina({
      filename: workerFile(import.meta.url, './ingest-worker'),
      minThreads: 1,
      maxThreads: INGEST_THREADS,
      idleTimeout: 600_000,
      workerData,
    });
    return new Ingest({ ...options, pool: this.#pool, model: () => model.current, registry });
  }

  /** Takes up a newly trained encoder. @throws TG_FINGERPRINT_MODEL_…; then the old one goes on */
  async reloadModel(): Promise<ModelInfo> {
    const { model, registry } = this.#started();
    const { info } = await model.reload();
    registry.changeModel(info.id);
    this.#options.logger.info({ modelId: info.id, trainedOn: info.trainedOn }, 'fingerprint model in use');
    await this.relearn();
    return info;
  }

  /** Workloads that an earlier encoder knew get vectors of this one, from their stored records. */
  async relearn(): Promise<void> {
    const { gateway, client, logger } = this.#options;
    const { model, registry } = this.#started();
    if (this.#pool === undefined) return;
    try {
      const workloads = await relearnWorkloads({
        client: client(),
        gateway,
        registry,
        pool: this.#pool,
        model: model.current,
        nowMs: Date.now(),
      });
      if (workloads > 0) logger.info({ workloads }, 'workloads encoded anew from stored records');
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'workloads are encoded anew as their flows come');
    }
  }

  /** Writes down what would be missed after a crash; nothing before `start`. @throws what the disk or the store say */
  async keep(nowMs: number): Promise<void> {
    await this.#parts?.memory.keep(nowMs);
  }

  /** The heaviest first; none before `start`. */
  workloads(): WorkloadStatus[] {
    if (this.#parts === undefined) return [];
    const { registry, memory } = this.#parts;
    return registry
      .workloads()
      .map(({ workloadId, name, flows }) => ({
        workloadId,
        name,
        rateBps: memory.rates.get(workloadId) ?? 0,
        flows,
      }))
      .sort((a, b) => b.rateBps - a.rateBps || b.flows - a.flows);
  }

  /** Names as of now: asked for each allocation of a plan, so they are looked up in one map. */
  names(): (workloadId: number) => string {
    const names = new Map(this.#parts?.registry.workloads().map((w) => [w.workloadId, w.name]));
    return (workloadId) => names.get(workloadId) ?? `workload ${workloadId}`;
  }

  /** What is not as it was configured; empty = all is well. */
  warnings(): string[] {
    const warning = this.#parts?.pods?.warning;
    return warning === undefined ? [] : [warning];
  }

  /** Keys of the endpoints that make up a workload; none before `start`. */
  endpointKeysOf(workloadId: number): readonly string[] {
    return this.#parts?.registry.endpointsOf(workloadId) ?? [];
  }

  #started(): Parts {
    if (this.#parts === undefined) throw new Error('nothing is recognised before the start');
    return this.#parts;
  }

  /** Pods have addresses and labels: rules name by them. */
  #makePods(registry: WorkloadRegistry): PodLabels | undefined {
    const { config, logger } = this.#options;
    const { kubernetes, hostLabels } = config;
    if (kubernetes === undefined) return undefined;
    return new PodLabels({
      config: kubernetes,
      onChange: (labels) => registry.changeHostLabels({ ...hostLabels, ...labels }),
      logger: childLogger(logger, 'pods'),
    });
  }
}
