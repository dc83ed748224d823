import type { FrameFile, FrameHeader } from './spool.js';

/** A frame that waits to be sent. */
export interface Waiting extends FrameFile {
  /** Absent for frames that an earlier process left: they may have been sent already, alone, under their own token. */
  readonly header: FrameHeader | undefined;
  readonly queuedMs: number;
}

/** Frames that go in one INSERT, now and at every later attempt. */
export interface Shipment {
  /** Less those that turn out to be damaged. */
  readonly files: Waiting[];
  /** Name of the file that says which frames belong together and under which token; absent for a single frame. */
  readonly group?: string;
  readonly token?: string;
}

/** An INSERT costs ClickHouse about as much as some thousand rows: small frames travel together. */
const FULL_ROWS = 50_000;
const FULL_BYTES = 32 << 20;
/** How long a frame waits for others. */
const LINGER_MS = 500;

const sameColumns = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((name, i) => name === b[i]));

/**
 * How many frames at the head of the queue go together, or the ms to wait for more of them.
 *
 * @param hurry whether somebody waits for the queue to be empty
 */
export function gather(
  queue: readonly Waiting[],
  nowMs: number,
  hurry: boolean,
): { readonly count: number } | { readonly waitMs: number } {
  const first = queue[0]!;
  if (first.header === undefined) return { count: 1 };
  let [count, rows, bytes] = [0, 0, 0];
  for (const { header, bytes: size } of queue) {
    const fits = rows + (header?.rows ?? 0) <= FULL_ROWS && bytes + size <= FULL_BYTES;
    if (header === undefined || !sameColumns(header.columns, first.header.columns) || (count > 0 && !fits)) {
      return { count };
    }
    count += 1;
    rows += header.rows;
    bytes += size;
  }
  const age = nowMs - first.queuedMs;
  if (hurry || age >= LINGER_MS || rows >= FULL_ROWS || bytes >= FULL_BYTES) return { count };
  return { waitMs: LINGER_MS - age };
}
