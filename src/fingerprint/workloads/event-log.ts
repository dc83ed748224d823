import type { WorkloadEvent, WorkloadEventKind } from './types.js';

const MAX_EVENTS = 10_000;

/** What happened since someone last asked; if nobody asks, the newest. */
export class EventLog {
  #events: WorkloadEvent[] = [];

  add(
    kind: WorkloadEventKind,
    workloadId: number,
    atMs: number,
    words: string,
    details: WorkloadEvent['details'],
  ): void {
    if (this.#events.length >= MAX_EVENTS) this.#events.shift();
    this.#events.push({ kind, workloadId, atMs, words, details });
  }

  /** All events since the last call. */
  take(): WorkloadEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
