import type { FlowBatch } from '../flow/batch.js';
import { type ColumnType, FLOW_COLUMNS } from '../flow/columns.js';
import { APPLICATION_COLUMNS, applicationData } from './application-columns.js';
import { linkColumns } from './link-columns.js';
import { joinOctets, leb128, octetsOf, repeated, textOctets } from './octets.js';
import { saneTimes } from './sane-times.js';

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
  const parts: Uint8Array[] = [leb128(BLOCK_COLUMNS.length), leb128(rows)];
  const column = (name: string, type: string, ...data: readonly ArrayBufferView[]): void => {
    parts.push(textOctets(name), textOctets(type), ...data.map(octetsOf));
  };
  column('gateway', 'String', repeated(textOctets(options.gateway), rows));
  column('linkId', 'String', links.linkIds);
  column('outbound', 'UInt8', links.outbound);
  column('clockCorrectionNanoseconds', 'Int64', times.correction);
  for (const name of ['octetsOut', 'octetsIn', 'packetsOut', 'packetsIn'] as const) {
    column(name, 'UInt64', links[name]);
  }
  for (const { name, type, width } of FLOW_COLUMNS) {
    const clickhouse = columnType(name, type, width);
    const ends = clickhouse.startsWith('Array(') ? [offsetsOf(width)] : [];
    const made =
      name === 'flowStartNanoseconds'
        ? times.start
        : name === 'flowEndNanoseconds'
          ? times.end
          : batch.column(name, type);
    column(name, clickhouse, ...ends, made);
  }
  for (const [i, data] of applicationData(batch).entries()) {
    const { name, type } = APPLICATION_COLUMNS[i]!;
    column(name, type, data);
  }
  return joinOctets(parts);
}
