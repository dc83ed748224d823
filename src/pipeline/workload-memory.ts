import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { WorkloadRegistry } from '../fingerprint/index.js';
import type { StoreClient } from '../store/index.js';
import { WorkloadKeeper } from './workload-keeper.js';

export interface WorkloadMemoryOptions {
  readonly client: StoreClient;
  readonly gateway: string;
  readonly registry: WorkloadRegistry;
  /** The registry as JSON, for the next start. */
  readonly file: string;
  readonly logger: Logger;
}

/** What is known of workloads, kept over restarts: the registry in a file, its history and events in the store. */
export class WorkloadMemory {
  readonly #options: WorkloadMemoryOptions;
  readonly #keeper: WorkloadKeeper;
  #rates: ReadonlyMap<number, number> = new Map();

  constructor(options: WorkloadMemoryOptions) {
    this.#options = options;
    this.#keeper = new WorkloadKeeper(options.client, options.gateway, options.registry);
  }

  /** Workload → bit/s over the seconds before the last `keep`. */
  get rates(): ReadonlyMap<number, number> {
    return this.#rates;
  }

  /** Takes up what an earlier run learnt; a file that is damaged or of another model is said and left behind. */
  restore(): void {
    const { file, registry, logger } = this.#options;
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      return; // the first start
    }
    try {
      registry.restore(JSON.parse(text));
    } catch (error) {
      logger.warn({ file, reason: messageOf(error) }, 'workloads are learnt anew');
    }
  }

  /** Writes down what would be missed after a crash. @throws what the disk or the store say */
  async keep(nowMs: number): Promise<void> {
    const { file, registry } = this.#options;
    writeFileSync(`${file}.new`, JSON.stringify(registry.snapshot()), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    this.#rates = await this.#keeper.keep(nowMs);
  }
}
