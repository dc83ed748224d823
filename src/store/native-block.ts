import type { FlowBatch } from '../flow/batch.js';
import { type ColumnType, ELEMENT_BYTES, FLOW_COLUMNS } from '../flow/columns.js';
import { APPLICATION_COLUMNS, applicationData } from './application-columns.js';

/** What a link is to the gateway's owner. */
export interface LinkOfInterface {
  readonly linkId: string;
  readonly network: 'private' | 'public';
}

/** What the encoder knows besides the batch; the same for all batches of a gateway. */
export interface BlockOptions {
  readonly gateway: string;
  /** ifindex → link. Interfaces that are not listed belong to no link. */
  readonly links: Readonly<Record<number, LinkOfInterface>>;
}

const CLICKHOUSE_TYPES: Readonly<Record<ColumnType, string>> = {
  u8: 'UInt8',
  u16: 'UInt16',
  u32: 'UInt32',
  u64: 'UInt64',
  i16: 'Int16',
  f32: 'Float32',
};

/** ClickHouse type of each flow column. 16-octet addresses are IPv6, other fixed arrays Array(T), heads strings. */
export function columnType(name: string, type: ColumnType, width: number): string {
  if (name.endsWith('IPv6Address')) return 'IPv6';
  if (name.endsWith('ayloadHead')) return 'FixedString(16)';
  if (name.endsWith('Nanoseconds')) return "DateTime64(9, 'UTC')";
  return width === 1 ? CLICKHOUSE_TYPES[type] : `Array(${CLICKHOUSE_TYPES[type]})`;
}

/** The columns of an INSERT into `flows`, in the order of the block. */
export const BLOCK_COLUMNS: readonly string[] = [
  'gateway',
  'linkId',
  'outbound',
  'clockCorrectionNanoseconds',
  'octetsOut',
  'octetsIn',
  'packetsOut',
  'packetsIn',
  ...FLOW_COLUMNS.map((column) => column.name),
  ...APPLICATION_COLUMNS.map((column) => column.name),
];

/** Grows as needed; one allocation for a batch of the usual size. */
class BlockWriter {
  #bytes: Uint8Array;
  #at = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Unsigned LEB128, as ClickHouse's Native format writes counts and lengths. */
  varUInt(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at] = (rest & 0x7f) | 0x80;
      this.#at += 1;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at] = rest;
    this.#at += 1;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** The same octets `times` times over: doubled in place, because a call for each row would cost more than its octets. */
  repeat(bytes: Uint8Array, times: number): void {
    const total = bytes.length * times;
    if (total === 0) return;
    this.#room(total);
    const [from, end] = [this.#at, this.#at + total];
    this.#bytes.set(bytes, from);
    for (let filled = bytes.length; filled < total; filled *= 2) {
      this.#bytes.copyWithin(from + filled, from, Math.min(from + filled, end - filled));
    }
    this.#at = end;
  }

  /** Short texts, octet by octet: quicker than a call for each. */
  texts(texts: readonly Uint8Array[]): void {
    this.#room(texts.reduce((sum, text) => sum + text.length, 0));
    const bytes = this.#bytes;
    let at = this.#at;
    for (const text of texts) {
      for (let i = 0; i < text.length; i += 1) {
        bytes[at] = text[i]!;
        at += 1;
      }
    }
    this.#at = at;
  }

  column(name: string, type: string): void {
    this.raw(stringOctets(name));
    this.raw(stringOctets(type));
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

const octetsOf = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** Octets and packets of each row as seen from the private side, and the link that they used. */
interface LinkColumns {
  /** The link of each row, ready to be copied: length and text. */
  readonly linkIds: Uint8Array[];
  readonly outbound: Uint8Array;
  readonly octetsOut: Uint32Array;
  readonly octetsIn: Uint32Array;
  readonly packetsOut: Uint32Array;
  readonly packetsIn: Uint32Array;
}

/** A 64-bit column as pairs of 32-bit words: copied without making a BigInt of each value. */
const wordsOf = (view: BigUint64Array): Uint32Array =>
  new Uint32Array(view.buffer, view.byteOffset, view.length * 2);

const stringOctets = (text: string): Uint8Array => {
  const bytes = Buffer.from(text, 'utf8');
  const prefix: number[] = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  prefix.push(rest);
  return Buffer.concat([Uint8Array.from(prefix), bytes]);
};

/**
 * The public link is the way out that a flow takes; "out" is from the private side towards it. A flow between two
 * private interfaces counts on the one it came in by; one with no known interface has an empty link.
 */
function linkColumns(batch: FlowBatch, links: BlockOptions['links']): LinkColumns {
  const { rows } = batch;
  const ingress = batch.column('ingressInterface', 'u32');
  const egress = batch.column('egressInterface', 'u32');
  const forward = [
    wordsOf(batch.column('octetDeltaCount', 'u64')),
    wordsOf(batch.column('packetDeltaCount', 'u64')),
  ] as const;
  const reverse = [
    wordsOf(batch.column('reverseOctetDeltaCount', 'u64')),
    wordsOf(batch.column('reversePacketDeltaCount', 'u64')),
  ] as const;
  const result: LinkColumns = {
    linkIds: new Array<Uint8Array>(rows),
    outbound: new Uint8Array(rows),
    octetsOut: new Uint32Array(rows * 2),
    octetsIn: new Uint32Array(rows * 2),
    packetsOut: new Uint32Array(rows * 2),
    packetsIn: new Uint32Array(rows * 2),
  };
  const texts = new Map<string, Uint8Array>();
  const textOf = (linkId: string): Uint8Array => {
    let text = texts.get(linkId);
    if (text === undefined) {
      text = stringOctets(linkId);
      texts.set(linkId, text);
    }
    return text;
  };
  for (let row = 0; row < rows; row += 1) {
    const source = links[ingress[row]!];
    const destination = links[egress[row]!];
    // An initiator behind a public link makes the forward direction the inbound one.
    const inbound =
      source?.network === 'public' || (source === undefined && destination?.network === 'private');
    const way = inbound ? source : destination?.network === 'public' ? destination : source;
    result.linkIds[row] = textOf(way?.linkId ?? '');
    result.outbound[row] = inbound ? 0 : 1;
    const [octetsOut, packetsOut] = inbound ? reverse : forward;
    const [octetsIn, packetsIn] = inbound ? forward : reverse;
    for (let word = row * 2; word < row * 2 + 2; word += 1) {
      result.octetsOut[word] = octetsOut[word]!;
      result.octetsIn[word] = octetsIn[word]!;
      result.packetsOut[word] = packetsOut[word]!;
      result.packetsIn[word] = packetsIn[word]!;
    }
  }
  return result;
}

const DAY_NS = 86_400_000_000_000n;
const OLDEST_NS = 10n * DAY_NS;
const NEWEST_NS = 3_600_000_000_000n;

/** Start and end of each row as they are stored, and what was added to a measured end to get there. */
interface Times {
  readonly start: BigUint64Array;
  readonly end: BigUint64Array;
  readonly correction: BigInt64Array;
}

/**
 * A clock that jumped would spread one block over more days than ClickHouse takes in one INSERT, or end the record's
 * retention at once. Rows that ended more than ten days ago or more than an hour ahead are moved to now, with their
 * duration, and say by how much.
 */
function saneTimes(batch: FlowBatch, nowMs: number): Times {
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

/** Octets a row of all columns that lie in the batch, with the offsets of arrays. */
const ROW_OCTETS = FLOW_COLUMNS.reduce(
  (sum, { type, width }) => sum + width * ELEMENT_BYTES[type] + (width > 1 ? 8 : 0),
  0,
);
/** Octets a row of the columns that are made here, without the strings. */
const MADE_OCTETS = 1 + 5 * 8 + 20;
const NAMES_OCTETS = 8_192;

/**
 * A batch as one block of ClickHouse's Native format (columns and rows as counts, then each column's name, type and
 * data). Column data are copied as they lie; only array offsets, link columns and times that cannot be true are made
 * here. No object a row.
 *
 * @param nowMs Unix time against which the rows' clocks are judged
 * @see https://clickhouse.com/docs/interfaces/formats/Native
 */
export function encodeFlowBlock(batch: FlowBatch, options: BlockOptions, nowMs = Date.now()): Uint8Array {
  const { rows } = batch;
  const links = linkColumns(batch, options.links);
  const times = saneTimes(batch, nowMs);
  const gateway = stringOctets(options.gateway);
  const offsets = new Map<number, Uint8Array>();
  /** Where the arrays of each row end: 64-bit numbers as pairs of words, of which the upper ones stay 0. */
  const offsetsOf = (width: number): Uint8Array => {
    let ends = offsets.get(width);
    if (ends === undefined) {
      const words = new Uint32Array(rows * 2);
      for (let row = 0; row < rows; row += 1) words[row * 2] = (row + 1) * width;
      ends = octetsOf(words);
      offsets.set(width, ends);
    }
    return ends;
  };
  const strings = links.linkIds.reduce((sum, text) => sum + text.length, rows * gateway.length);
  const out = new BlockWriter(rows * (ROW_OCTETS + MADE_OCTETS) + strings + NAMES_OCTETS);
  out.varUInt(BLOCK_COLUMNS.length);
  out.varUInt(rows);
  out.column('gateway', 'String');
  out.repeat(gateway, rows);
  out.column('linkId', 'String');
  out.texts(links.linkIds);
  out.column('outbound', 'UInt8');
  out.raw(links.outbound);
  out.column('clockCorrectionNanoseconds', 'Int64');
  out.raw(octetsOf(times.correction));
  for (const name of ['octetsOut', 'octetsIn', 'packetsOut', 'packetsIn'] as const) {
    out.column(name, 'UInt64');
    out.raw(octetsOf(links[name]));
  }
  for (const { name, type, width } of FLOW_COLUMNS) {
    const clickhouse = columnType(name, type, width);
    out.column(name, clickhouse);
    if (clickhouse.startsWith('Array(')) {
      out.raw(offsetsOf(width));
    }
    const made =
      name === 'flowStartNanoseconds'
        ? times.start
        : name === 'flowEndNanoseconds'
          ? times.end
          : batch.column(name, type);
    out.raw(octetsOf(made));
  }
  for (const [i, data] of applicationData(batch).entries()) {
    const { name, type } = APPLICATION_COLUMNS[i]!;
    out.column(name, type);
    out.raw(data);
  }
  return out.finish();
}
