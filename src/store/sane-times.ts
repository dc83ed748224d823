import type { FlowBatch } from '../flow/batch.js';
import { wordsOf } from './octets.js';

const DAY_NS = 86_400_000_000_000n;
const OLDEST_NS = 10n * DAY_NS;
const NEWEST_NS = 3_600_000_000_000n;

/** Start and end of each row as they are stored, and what was added to a measured end to get there. */
export interface Times {
  readonly start: BigUint64Array;
  readonly end: BigUint64Array;
  readonly correction: BigInt64Array;
}

/**
 * A clock that jumped would spread one block over more days than ClickHouse takes in one INSERT, or end the record's
 * retention at once. Rows that ended more than ten days ago or more than an hour ahead are moved to now, with their
 * duration, and say by how much.
 */
export function saneTimes(batch: FlowBatch, nowMs: number): Times {
  const start = batch.column('flowStartNanoseconds', 'u64');
  const end = batch.column('flowEndNanoseconds', 'u64');
  const correction = new BigInt64Array(batch.rows);
  const now = BigInt(Math.round(nowMs)) * 1_000_000n;
  const [oldest, newest] = [now - OLDEST_NS, now + NEWEST_NS];
  let times: Times = { start, end, correction };
  // The upper words are enough to tell a usual row, without making a BigInt of it.
  const [startWords, endWords] = [wordsOf(start), wordsOf(end)];
  const low = Number(oldest >> 32n) + 1;
  const high = Number(newest >> 32n) - 1;
  for (let row = 0; row < batch.rows; row += 1) {
    const endWord = endWords[row * 2 + 1]!;
    const startWord = startWords[row * 2 + 1]!;
    if (endWord >= low && endWord <= high && startWord >= low && startWord <= high) continue;
    const ended = end[row]!;
    const began = start[row]!;
    if (ended >= oldest && ended <= newest && began <= newest && began + DAY_NS >= oldest) continue;
    // The batch belongs to its source and is not written to.
    if (times.start === start) times = { start: start.slice(), end: end.slice(), correction };
    const duration = ended >= began && ended - began <= DAY_NS ? ended - began : 0n;
    const stored = ended >= oldest && ended <= newest ? ended : now;
    times.end[row] = stored;
    times.start[row] = stored - duration;
    correction[row] = stored - ended;
  }
  return times;
}
