import { APPLICATION_FIELDS, ApplicationReader, isHeaderField } from '../flow/application.js';
import type { FlowBatch } from '../flow/batch.js';

/** A column of `flows` that is made from the batch's application texts. */
export interface ApplicationColumn {
  readonly name: string;
  /** As it travels in a Native block. */
  readonly type: string;
  /** As the table has it; ClickHouse converts. */
  readonly stored: string;
  readonly description: string;
}

const TYPES = { text: 'String', u32: 'UInt32', u8: 'UInt8' } as const;
/** Names that are asked for are as many as there are clients' wishes; the others repeat. */
const MANY_VALUES: ReadonlySet<string> = new Set(['dnsQName']);

const fieldColumns = APPLICATION_FIELDS.map(({ name, type, description, number }) => ({
  name,
  type: TYPES[type],
  stored: type === 'text' && !MANY_VALUES.has(name) ? 'LowCardinality(String)' : TYPES[type],
  description,
  number,
}));

const HEADER_FIELDS: ApplicationColumn = {
  name: 'headerFields',
  type: 'Map(String, String)',
  stored: 'Map(LowCardinality(String), String)',
  description: 'octets of the header rules that matched, hexadecimal, by the name of the rule',
};

/** In the order in which a block has them. */
export const APPLICATION_COLUMNS: readonly ApplicationColumn[] = [...fieldColumns, HEADER_FIELDS];

const ELEMENT = { UInt32: 4, UInt8: 1 } as const;

/** Octets of a column of strings; every string here is shorter than 16384 octets. */
function strings(texts: readonly Uint8Array[]): Uint8Array {
  const parts = texts.flatMap((text) => [
    text.length < 0x80
      ? Uint8Array.of(text.length)
      : Uint8Array.of((text.length & 0x7f) | 0x80, text.length >> 7),
    text,
  ]);
  return Buffer.concat(parts);
}

const EMPTY = new Uint8Array(0);

/**
 * The data of each of {@link APPLICATION_COLUMNS} in ClickHouse's Native format. Rows that say nothing, which are most,
 * cost a zero octet a column.
 */
export function applicationData(batch: FlowBatch): Uint8Array[] {
  const { rows } = batch;
  const reader = new ApplicationReader(batch);
  const speaking: number[] = [];
  for (let row = 0; row < rows; row += 1) if (reader.has(row)) speaking.push(row);
  if (speaking.length === 0) {
    const zeros = new Uint8Array(rows * 8);
    return [
      ...fieldColumns.map(({ type }) => zeros.subarray(0, rows * (type === 'String' ? 1 : ELEMENT[type]))),
      zeros,
    ];
  }
  const texts = new Map<number, Uint8Array[]>();
  const numbers = new Map<number, Uint8Array>();
  for (const { number, type } of fieldColumns) {
    if (type === 'String') texts.set(number, new Array<Uint8Array>(rows).fill(EMPTY));
    else numbers.set(number, new Uint8Array(rows * ELEMENT[type]));
  }
  const perRow = new Uint32Array(rows);
  const keys: Uint8Array[] = [];
  const values: Uint8Array[] = [];
  for (const row of speaking) {
    for (const slice of reader.fields(row)) {
      const octets = reader.octets.subarray(slice.start, slice.end);
      const column = texts.get(slice.number);
      if (column !== undefined) {
        column[row] = octets;
      } else if (isHeaderField(slice)) {
        const { name, value } = reader.headerField(slice);
        keys.push(Buffer.from(name));
        values.push(Buffer.from(value));
        perRow[row]! += 1;
      } else {
        numbers.get(slice.number)?.set(octets, row * octets.length);
      }
    }
  }
  const ends = new Uint32Array(rows * 2);
  let count = 0;
  for (let row = 0; row < rows; row += 1) {
    count += perRow[row]!;
    ends[row * 2] = count;
  }
  return [
    ...fieldColumns.map(({ number }) => numbers.get(number) ?? strings(texts.get(number)!)),
    Buffer.concat([new Uint8Array(ends.buffer), strings(keys), strings(values)]),
  ];
}
