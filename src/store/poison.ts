import { messageOf } from '../base/errors.js';
import { clickhouseCode } from './errors.js';
import { NativeBlock } from './native-reader.js';
import type { FrameHeader } from './spool.js';

/** ClickHouse codes that say the block itself is at fault: trying again cannot help. */
const POISON = new Set([6, 26, 27, 33, 41, 53, 69, 117, 131, 190, 321, 349, 469]);
/** 252 also means "too many parts, wait for merges"; only this wording is about the block. */
const TOO_MANY_PARTITIONS = /partitions for single INSERT block/;

/** Whether an INSERT failed for what its block holds. */
export const isPoison = (error: unknown): boolean => {
  const cause = (error as Error).cause ?? error;
  const code = clickhouseCode(cause);
  return POISON.has(code) || (code === 252 && TOO_MANY_PARTITIONS.test(messageOf(cause)));
};

const PACKETS: ReadonlySet<string> = new Set(['packetDeltaCount', 'reversePacketDeltaCount']);
const OCTETS: ReadonlySet<string> = new Set(['octetDeltaCount', 'reverseOctetDeltaCount']);

/** Rows that ClickHouse does not take, and what they counted. */
export interface Refused {
  readonly rows: number;
  readonly packets: number;
  readonly octets: number;
}

export const NOTHING_REFUSED: Refused = { rows: 0, packets: 0, octets: 0 };

/** Both halves of a block, or `undefined` when it cannot even be taken apart. */
export function halves(block: Uint8Array): readonly (readonly [string, Uint8Array, number])[] | undefined {
  try {
    const whole = new NativeBlock(block);
    const middle = whole.rows >>> 1;
    return [
      ['a', whole.slice(0, middle), middle],
      ['b', whole.slice(middle, whole.rows), whole.rows - middle],
    ];
  } catch {
    return undefined;
  }
}

/** What rows that were refused counted; the frame's own sums when the block cannot be read. */
export function refusedOf(header: FrameHeader, block: Uint8Array, rows: number): Refused {
  try {
    const parsed = new NativeBlock(block);
    return { rows, packets: Number(parsed.sum(PACKETS)), octets: Number(parsed.sum(OCTETS)) };
  } catch {
    return { rows, packets: header.packets, octets: header.octets };
  }
}
