import { joinOctets, leb128, textOctets } from './octets.js';

/** Octets of one value of each fixed-size type that Tidegate's blocks use. */
const FIXED: Readonly<Record<string, number>> = {
  UInt8: 1,
  UInt16: 2,
  UInt32: 4,
  UInt64: 8,
  Int16: 2,
  Int64: 8,
  Float32: 4,
  Float64: 8,
  IPv6: 16,
};

interface Column {
  readonly name: string;
  readonly type: string;
  /** Start of the data, behind name and type. */
  readonly start: number;
  readonly end: number;
}

function sizeOf(type: string): number {
  const size =
    FIXED[type] ??
    (type.startsWith('DateTime64(') ? 8 : Number(/^FixedString\((\d+)\)$/.exec(type)?.[1] ?? Number.NaN));
  if (Number.isNaN(size)) throw new RangeError(`no size for the type ${type}`);
  return size;
}

const elementOf = (type: string): string | undefined => /^Array\((.+)\)$/.exec(type)?.[1];

/** Key and value, both strings, of a map. */
const isMap = (type: string): boolean => type === 'Map(String, String)';

/**
 * A block of ClickHouse's Native format taken apart by columns, so that rows and columns can be left out of it. Reads
 * what `encodeFlowBlock` writes: strings, fixed-size types and arrays of them, maps of strings.
 */
export class NativeBlock {
  readonly rows: number;
  readonly columns: readonly Column[];
  readonly #bytes: Buffer;

  /** @throws RangeError when the octets are no such block */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    const varUInt = (): number => {
      let value = 0;
      for (let factor = 1; ; factor *= 128) {
        const octet = this.#bytes[at];
        if (octet === undefined || factor > 2 ** 49) throw new RangeError('the block is cut off');
        at += 1;
        value += (octet & 0x7f) * factor;
        if (octet < 0x80) return value;
      }
    };
    const text = (): string => {
      const length = varUInt();
      at += length;
      return this.#bytes.toString('utf8', at - length, at);
    };
    const columnCount = varUInt();
    this.rows = varUInt();
    const columns: Column[] = [];
    for (let i = 0; i < columnCount; i += 1) {
      const name = text();
      const type = text();
      const start = at;
      const element = elementOf(type);
      const strings = (count: number): void => {
        for (let row = 0; row < count; row += 1) {
          // Not `at += varUInt()`: that would add to where the length begins.
          const length = varUInt();
          at += length;
        }
      };
      if (type === 'String') {
        strings(this.rows);
      } else if (isMap(type)) {
        at += this.rows * 8;
        strings(2 * (this.rows === 0 ? 0 : this.#end(start, this.rows - 1)));
      } else if (element !== undefined) {
        at += this.rows * 8;
        at += (this.rows === 0 ? 0 : this.#end(start, this.rows - 1)) * sizeOf(element);
      } else {
        at += this.rows * sizeOf(type);
      }
      if (at > this.#bytes.length) throw new RangeError('the block is cut off');
      columns.push({ name, type, start, end: at });
    }
    if (at !== this.#bytes.length) throw new RangeError('octets behind the block');
    this.columns = columns;
  }

  /** Rows `from` (inclusive) to `to` (exclusive) as a block of their own. */
  slice(from: number, to: number): Uint8Array {
    return this.#write(to - from, this.columns, (column) => this.#rowsOf(column, from, to));
  }

  /** The block without some of its columns. */
  without(names: ReadonlySet<string>): { readonly block: Uint8Array; readonly columns: readonly string[] } {
    const kept = this.columns.filter((column) => !names.has(column.name));
    const block = this.#write(this.rows, kept, ({ start, end }) => [this.#bytes.subarray(start, end)]);
    return { block, columns: kept.map((column) => column.name) };
  }

  /** Sum of UInt64 columns over all rows. */
  sum(names: ReadonlySet<string>): bigint {
    let sum = 0n;
    for (const column of this.columns) {
      if (!names.has(column.name) || column.type !== 'UInt64') continue;
      for (let at = column.start; at < column.end; at += 8) sum += this.#bytes.readBigUInt64LE(at);
    }
    return sum;
  }

  /** End of a row's elements in an array column whose offsets begin at `start`. */
  #end(start: number, row: number): number {
    const at = start + row * 8;
    if (at + 8 > this.#bytes.length) throw new RangeError('the block is cut off');
    return Number(this.#bytes.readBigUInt64LE(at));
  }

  /** Where rows end in an array or map column, counted from the first row that is kept. */
  #endsOf(start: number, from: number, to: number): { first: number; last: number; ends: Buffer } {
    const first = from === 0 ? 0 : this.#end(start, from - 1);
    const last = to === 0 ? 0 : this.#end(start, to - 1);
    const ends = Buffer.alloc((to - from) * 8);
    for (let row = from; row < to; row += 1) {
      ends.writeBigUInt64LE(BigInt(this.#end(start, row) - first), (row - from) * 8);
    }
    return { first, last, ends };
  }

  #rowsOf({ type, start, end }: Column, from: number, to: number): Uint8Array[] {
    const element = elementOf(type);
    if (element !== undefined) {
      const { first, last, ends } = this.#endsOf(start, from, to);
      const data = start + this.rows * 8;
      const size = sizeOf(element);
      return [ends, this.#bytes.subarray(data + first * size, data + last * size)];
    }
    if (isMap(type)) {
      const { first, last, ends } = this.#endsOf(start, from, to);
      const starts = this.#stringStarts(start + this.rows * 8, end);
      const values = (starts.length - 1) / 2;
      return [
        ends,
        this.#bytes.subarray(starts[first]!, starts[last]!),
        this.#bytes.subarray(starts[values + first]!, starts[values + last]!),
      ];
    }
    if (type !== 'String') {
      const size = sizeOf(type);
      return [this.#bytes.subarray(start + from * size, start + to * size)];
    }
    const starts = this.#stringStarts(start, end);
    return [this.#bytes.subarray(starts[from]!, starts[to]!)];
  }

  /** Where each string begins, and at last the end. */
  #stringStarts(start: number, end: number): number[] {
    const starts = [start];
    for (let at = start; at < end; starts.push(at)) {
      let length = 0;
      let factor = 1;
      for (;;) {
        const octet = this.#bytes[at]!;
        at += 1;
        length += (octet & 0x7f) * factor;
        factor *= 128;
        if (octet < 0x80) break;
      }
      at += length;
    }
    return starts;
  }

  #write(
    rows: number,
    columns: readonly Column[],
    dataOf: (column: Column) => readonly Uint8Array[],
  ): Uint8Array {
    const parts: Uint8Array[] = [leb128(columns.length), leb128(rows)];
    for (const column of columns) {
      parts.push(textOctets(column.name), textOctets(column.type), ...dataOf(column));
    }
    return joinOctets(parts);
  }
}
