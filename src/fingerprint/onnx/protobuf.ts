/**
 * The little of the protobuf wire format (protobuf.dev/programming-guides/encoding) that an ONNX file needs: a writer,
 * and a reader of one message's fields.
 */

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

export class ProtoWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  #push(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }

  #varint(value: number): this {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 0x80n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    return this.#push(Uint8Array.from(bytes));
  }

  /** An integer field; negative ones as 64-bit two's complement. */
  int(field: number, value: number): this {
    return this.#varint(field * 8 + WIRE_VARINT).#varint(value);
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#varint(field * 8 + WIRE_FIXED32).#push(bytes);
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#varint(field * 8 + WIRE_BYTES)
      .#varint(value.length)
      .#push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, write: (message: ProtoWriter) => void): this {
    const message = new ProtoWriter();
    write(message);
    return this.bytes(field, message.finish());
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

export interface ProtoField {
  readonly field: number;
  /** Integers of varint fields; raw bytes of the others. */
  readonly value: number | Uint8Array;
}

/** The fields of one message in order. @throws RangeError where the bytes are not a message. */
export function readFields(bytes: Uint8Array): ProtoField[] {
  const fields: ProtoField[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined) throw new RangeError('cut off inside a number');
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a number without end');
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new RangeError('cut off inside a field');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (field === 0) throw new RangeError('a field numbered 0');
    if (wire === WIRE_VARINT) fields.push({ field, value: varint() });
    else if (wire === WIRE_BYTES) fields.push({ field, value: take(varint()) });
    else if (wire === WIRE_FIXED32) fields.push({ field, value: take(4) });
    else if (wire === WIRE_FIXED64) fields.push({ field, value: take(8) });
    else throw new RangeError(`a field of unknown wire type ${wire}`);
  }
  return fields;
}
