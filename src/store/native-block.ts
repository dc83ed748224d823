import type { FlowBatch } from '../flow/batch.js';
import { type ColumnType, FLOW_COLUMNS } from '../flow/columns.js';

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
  'octetsOut',
  'octetsIn',
  'packetsOut',
  'packetsIn',
  ...FLOW_COLUMNS.map((column) => column.name),
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

  string(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    this.varUInt(bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  column(name: string, type: string): void {
    this.string(name);
    this.string(type);
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
  readonly linkIds: string[];
  readonly outbound: Uint8Array;
  readonly octetsOut: BigUint64Array;
  readonly octetsIn: BigUint64Array;
  readonly packetsOut: BigUint64Array;
  readonly packetsIn: BigUint64Array;
}

/**
 * The public link is the way out that a flow takes; "out" is from the private side towards it. A flow between two
 * private interfaces counts on the one it came in by; one with no known interface has an empty link.
 */
function linkColumns(batch: FlowBatch, links: BlockOptions['links']): LinkColumns {
  const { rows } = batch;
  const ingress = batch.column('ingressInterface', 'u32');
  const egress = batch.column('egressInterface', 'u32');
  const octets = batch.column('octetDeltaCount', 'u64');
  const reverseOctets = batch.column('reverseOctetDeltaCount', 'u64');
  const packets = batch.column('packetDeltaCount', 'u64');
  const reversePackets = batch.column('reversePacketDeltaCount', 'u64');
  const result: LinkColumns = {
    linkIds: new Array<string>(rows),
    outbound: new Uint8Array(rows),
    octetsOut: new BigUint64Array(rows),
    octetsIn: new BigUint64Array(rows),
    packetsOut: new BigUint64Array(rows),
    packetsIn: new BigUint64Array(rows),
  };
  for (let row = 0; row < rows; row += 1) {
    const source = links[ingress[row]!];
    const destination = links[egress[row]!];
    // An initiator behind a public link makes the forward direction the inbound one.
    const inbound =
      source?.network === 'public' || (source === undefined && destination?.network === 'private');
    result.linkIds[row] =
      (inbound ? source : destination?.network === 'public' ? destination : source)?.linkId ?? '';
    result.outbound[row] = inbound ? 0 : 1;
    result.octetsOut[row] = inbound ? reverseOctets[row]! : octets[row]!;
    result.octetsIn[row] = inbound ? octets[row]! : reverseOctets[row]!;
    result.packetsOut[row] = inbound ? reversePackets[row]! : packets[row]!;
    result.packetsIn[row] = inbound ? packets[row]! : reversePackets[row]!;
  }
  return result;
}

/**
 * A batch as one block of ClickHouse's Native format (columns and rows as counts, then each column's name, type and
 * data). Column data are copied as they lie; only array offsets and the link columns are made here. No object a row.
 *
 * @see https://clickhouse.com/docs/interfaces/formats/Native
 */
export function encodeFlowBlock(batch: FlowBatch, options: BlockOptions): Uint8Array {
  const { rows } = batch;
  const out = new BlockWriter(rows * 900 + 16_384);
  const links = linkColumns(batch, options.links);
  out.varUInt(BLOCK_COLUMNS.length);
  out.varUInt(rows);
  out.column('gateway', 'String');
  for (let row = 0; row < rows; row += 1) out.string(options.gateway);
  out.column('linkId', 'String');
  for (let row = 0; row < rows; row += 1) out.string(links.linkIds[row]!);
  out.column('outbound', 'UInt8');
  out.raw(links.outbound);
  for (const name of ['octetsOut', 'octetsIn', 'packetsOut', 'packetsIn'] as const) {
    out.column(name, 'UInt64');
    out.raw(octetsOf(links[name]));
  }
  for (const { name, type, width } of FLOW_COLUMNS) {
    const clickhouse = columnType(name, type, width);
    out.column(name, clickhouse);
    if (clickhouse.startsWith('Array(')) {
      const ends = new BigUint64Array(rows);
      for (let row = 0; row < rows; row += 1) ends[row] = BigInt((row + 1) * width);
      out.raw(octetsOf(ends));
    }
    out.raw(octetsOf(batch.column(name, type)));
  }
  return out.finish();
}
