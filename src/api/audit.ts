import type { StoreClient } from '../store/index.js';
import type { Caller } from './access.js';

export interface AuditEntry {
  readonly action: string;
  readonly words: string;
  readonly workloadId?: number;
  readonly details: Readonly<Record<string, unknown>>;
}

/**
 * Who changed what, in the table `events`. What cannot be written down is not done: the intention is stored before the
 * change, its outcome after it.
 */
export class Audit {
  readonly #client: () => Pick<StoreClient, 'insertRows'>;
  readonly #gateway: string;

  constructor(client: () => Pick<StoreClient, 'insertRows'>, gateway: string) {
    this.#client = client;
    this.#gateway = gateway;
  }

  /** Does `work` on behalf of `caller`. @throws what `work` throws; TG_STORE_UNREACHABLE before anything is done */
  async around<T>(caller: Caller, entry: AuditEntry, work: () => Promise<T>): Promise<T> {
    await this.#write(caller, entry, 'asked');
    try {
      const result = await work();
      await this.#write(caller, entry, 'done');
      return result;
    } catch (error) {
      await this.#write(caller, entry, `failed: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    }
  }

  async #write(caller: Caller, entry: AuditEntry, outcome: string): Promise<void> {
    const { action, words, workloadId = 0, details } = entry;
    await this.#client().insertRows('events', [
      {
        time: new Date().toISOString(),
        gateway: this.#gateway,
        kind: `audit_${action}`,
        workloadId,
        words: `${caller.name} (${caller.address}): ${words}`,
        details: JSON.stringify({
          ...details,
          by: caller.name,
          role: caller.role,
          from: caller.address,
          outcome,
        }),
      },
    ]);
  }
}
