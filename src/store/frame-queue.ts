import type { FrameFile } from './spool.js';

/** A frame that waits to be sent. */
export interface Waiting {
  file: FrameFile;
  /** Whether this process appended it, and counts its packets. */
  readonly own: boolean;
  /** When it was queued, of the monotonic clock; frames of an earlier process have waited for ever. */
  readonly queuedMs: number;
}

/** Frames that go in one INSERT, now and at every later attempt. */
export interface Shipment {
  /** Less those that turn out to be damaged. */
  readonly frames: Waiting[];
  /** Name of the file that says which frames belong together; absent for a frame that goes alone. */
  readonly group?: string;
  /** Of the group. */
  readonly token?: string;
}

/** Which end of a backlog a sender begins with. */
export type Lane = 'oldest' | 'fresh';

/** An INSERT costs ClickHouse about as much as some thousand rows: small frames travel together. */
const FULL_ROWS = 110_000;
const FULL_BYTES = 64 << 20;
/** How long a frame waits for others. */
const LINGER_MS = 500;
/** A frame that has waited longer than this makes a backlog; then one sender looks after the newest ones. */
const BACKLOG_MS = 10_000;
const FRESH_MS = 5_000;

const sameColumns = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((name, i) => name === b[i]));

const together = (a: FrameFile, b: FrameFile): boolean =>
  !a.alone &&
  !b.alone &&
  a.packed === b.packed &&
  a.header.table === b.header.table &&
  sameColumns(a.header.columns, b.header.columns);

/** The frames that wait, oldest first, and how they are put together. */
export class FrameQueue {
  readonly #waiting: Waiting[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  get oldest(): Waiting | undefined {
    return this.#waiting[0];
  }

  push(...frames: readonly Waiting[]): void {
    this.#waiting.push(...frames);
  }

  /** Puts a frame back where it was. */
  restore(frame: Waiting): void {
    const at = this.#waiting.findIndex((other) => other.file.name > frame.file.name);
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, frame);
  }

  shift(): Waiting | undefined {
    return this.#waiting.shift();
  }

  /** The oldest frame that lies there uncompressed and has waited for `minimumMs`. */
  takeUnpacked(nowMs: number, minimumMs: number): Waiting | undefined {
    const at = this.#waiting.findIndex(({ file, queuedMs }) => !file.packed && nowMs - queuedMs >= minimumMs);
    return at === -1 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  /**
   * Takes the frames that go next, or says how many ms to wait for more of them (`undefined`: until somebody appends).
   *
   * @param hurry whether somebody waits for the queue to be empty
   */
  take(lane: Lane, nowMs: number, hurry: boolean): readonly Waiting[] | number | undefined {
    const first = this.#waiting[0];
    if (first === undefined) return undefined;
    if (lane === 'fresh' && nowMs - first.queuedMs > BACKLOG_MS) {
      const from = this.#waiting.findIndex(({ queuedMs }) => nowMs - queuedMs <= FRESH_MS);
      if (from > 0) {
        const found = this.#gather(from, nowMs, hurry);
        if (typeof found !== 'number') return found;
      }
    }
    return this.#gather(0, nowMs, hurry);
  }

  #gather(from: number, nowMs: number, hurry: boolean): readonly Waiting[] | number {
    const first = this.#waiting[from]!;
    let [count, rows, bytes] = [0, 0, 0];
    let whole = false;
    for (let i = from; i < this.#waiting.length; i += 1) {
      const { file } = this.#waiting[i]!;
      const fits = rows + file.header.rows <= FULL_ROWS && bytes + file.bytes <= FULL_BYTES;
      if (count > 0 && !(fits && together(first.file, file))) {
        whole = true;
        break;
      }
      count += 1;
      rows += file.header.rows;
      bytes += file.bytes;
    }
    const age = nowMs - first.queuedMs;
    if (whole || hurry || age >= LINGER_MS || rows >= FULL_ROWS || bytes >= FULL_BYTES)
      return this.#waiting.splice(from, count);
    return LINGER_MS - age;
  }
}
