import type { Piscina } from 'piscina';
import type { Component } from '../base/component.js';
import { defineErrors, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { type Observe, timed } from '../base/observe.js';
import type { FlowSource, LossCount } from '../capture/source.js';
import type { Assignment, EndpointSummary } from '../fingerprint/index.js';
import type { FlowBatch } from '../flow/batch.js';
import { END_REASONS } from '../flow/end-reasons.js';
import type { FlowFrame } from '../store/index.js';
import type { BlockResult, BlockTask, FingerprintResult, FingerprintTask } from './ingest-worker.js';

const fail = defineErrors({
  TG_PIPELINE_DRAIN: {
    message: '{batches} batches of flow records were not written within {seconds} s',
    hint: 'see the log for the stage that is stuck; the records stay in the spool where they reached it',
  },
});

/** Batches under way at once: one being fingerprinted while another is encoded and spooled. */
const DEFAULT_CONCURRENCY = 2;
const ATTEMPTS = 3;

export interface IngestDependencies {
  readonly source: FlowSource;
  /** A pool over `ingest-worker`. */
  readonly pool: Pick<Piscina, 'run'>;
  /** The model to fingerprint with, as of now. */
  readonly model: () => { readonly info: { readonly id: string }; readonly bytes: SharedArrayBuffer };
  readonly registry: { observe(endpoints: readonly EndpointSummary[], nowMs: number): Assignment[] };
  readonly writer: { append(frame: FlowFrame): Promise<void> };
  /** Told of each batch once workloads and fingerprints are in it; must be done with it when it returns. */
  readonly onAnnotated?: (batch: FlowBatch) => void;
  readonly logger: Logger;
  readonly observe?: Observe;
  readonly concurrency?: number;
  readonly now?: () => number;
}

export interface IngestCounters {
  /** Packets and records that reached the spool. */
  readonly writtenPackets: number;
  readonly writtenRecords: number;
  readonly waitingBatches: number;
  /** Of the records that reached the spool. */
  readonly byEndReason: Readonly<Record<string, number>>;
  readonly lost: readonly LossCount[];
}

/**
 * Takes each batch from the source through fingerprint, workload and Native block to the write-ahead spool, then
 * gives its slab back. The slab stays counted as resident at the source until the spool has it, so no packet is
 * ever between two counters. A worker that dies is replaced and its batch tried again; a batch that cannot be
 * fingerprinted is stored without fingerprints; only one that cannot even be encoded is lost, and counted.
 */
export class Ingest implements Component {
  readonly #dependencies: IngestDependencies;
  readonly #queue: FlowBatch[] = [];
  readonly #idle: (() => void)[] = [];
  #running = 0;
  #writtenPackets = 0;
  #writtenRecords = 0;
  readonly #byEndReason = new Array<number>(END_REASONS.length).fill(0);
  #lostPackets = 0;
  #lostOctets = 0;

  constructor(dependencies: IngestDependencies) {
    this.#dependencies = dependencies;
  }

  async start(): Promise<void> {
    this.#dependencies.source.onBatch = (batch) => {
      this.#queue.push(batch);
      this.#dependencies.observe?.('batch_rows', batch.rows);
      this.#pump();
    };
  }

  /** Waits for every batch that was handed over. Stop the source first. */
  async stop(): Promise<void> {
    await this.drain();
  }

  /** Resolves when nothing is under way. @throws TG_PIPELINE_DRAIN */
  async drain(timeoutMs = 60_000): Promise<void> {
    if (this.#running === 0 && this.#queue.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<void>((resolve) => {
      this.#idle.push(resolve);
    });
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const batches = this.#running + this.#queue.length;
        reject(fail('TG_PIPELINE_DRAIN', { batches, seconds: timeoutMs / 1000 }));
      }, timeoutMs);
    });
    try {
      await Promise.race([idle, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  counters(): IngestCounters {
    return {
      writtenPackets: this.#writtenPackets,
      writtenRecords: this.#writtenRecords,
      byEndReason: Object.fromEntries(
        END_REASONS.map((reason, i) => [reason, this.#byEndReason[i] ?? 0] as const),
      ),
      waitingBatches: this.#queue.length + this.#running,
      lost:
        this.#lostPackets === 0
          ? []
          : [
              {
                stage: 'pipeline',
                reason: 'encode_failed',
                packets: this.#lostPackets,
                octets: this.#lostOctets,
              },
            ],
    };
  }

  #pump(): void {
    const limit = this.#dependencies.concurrency ?? DEFAULT_CONCURRENCY;
    while (this.#running < limit && this.#queue.length > 0) {
      const batch = this.#queue.shift()!;
      this.#running += 1;
      this.#process(batch)
        .catch((error: unknown) => {
          this.#lostPackets += batch.packets;
          this.#lostOctets += batch.octets;
          this.#dependencies.logger.error(
            { code: 'TG_PIPELINE_LOST', packets: batch.packets, err: error },
            'a batch could not be encoded and is counted as lost',
          );
        })
        .finally(() => {
          batch.release();
          this.#running -= 1;
          this.#pump();
          if (this.#running === 0 && this.#queue.length === 0)
            for (const wake of this.#idle.splice(0)) wake();
        });
    }
  }

  async #process(batch: FlowBatch): Promise<void> {
    const { registry, writer } = this.#dependencies;
    const nowMs = (this.#dependencies.now ?? Date.now)();
    let assignment: Pick<BlockTask, 'endpointOfRow' | 'workloadIds' | 'scores'> = {};
    try {
      const found = await timed(this.#dependencies.observe, 'infer_duration_seconds', () =>
        this.#fingerprint(batch),
      );
      const assigned = registry.observe(found.endpoints, nowMs);
      assignment = {
        endpointOfRow: found.endpointOfRow,
        workloadIds: Uint32Array.from(assigned, (a) => a.workloadId),
        scores: Float32Array.from(assigned, (a) => a.score),
      };
    } catch (error) {
      this.#dependencies.logger.error(
        { code: 'TG_PIPELINE_FINGERPRINT', rows: batch.rows, reason: messageOf(error) },
        'a batch is stored without fingerprints',
      );
    }
    const { block, endReasons } = await this.#run<BlockResult>('block', {
      buffer: batch.buffer,
      ...assignment,
    } satisfies BlockTask);
    this.#dependencies.onAnnotated?.(batch);
    await writer.append({
      table: 'flows',
      block,
      rows: batch.rows,
      packets: batch.packets,
      octets: batch.octets,
      id: batch.id,
    });
    for (const [reason, records] of endReasons.entries()) this.#byEndReason[reason]! += records;
    this.#writtenPackets += batch.packets;
    this.#writtenRecords += batch.rows;
  }

  /** Vectors of the model that is in use when they are done: the registry must not compare those of two models. */
  async #fingerprint(batch: FlowBatch): Promise<FingerprintResult> {
    const { model } = this.#dependencies;
    for (;;) {
      const { info, bytes } = model();
      const found = await this.#run<FingerprintResult>('fingerprint', {
        buffer: batch.buffer,
        model: { id: info.id, bytes },
      } satisfies FingerprintTask);
      if (found.modelId === model().info.id) return found;
    }
  }

  async #run<Result>(name: 'fingerprint' | 'block', task: FingerprintTask | BlockTask): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return (await this.#dependencies.pool.run(task, { name })) as Result;
      } catch (error) {
        if (attempt >= ATTEMPTS) throw error;
        this.#dependencies.logger.warn(
          { task: name, attempt, reason: messageOf(error) },
          'a worker failed, trying again',
        );
      }
    }
  }
}
