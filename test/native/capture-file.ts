/** Capture files built octet by octet, in every variant of the two formats. */

export interface Frame {
  readonly timeNs: bigint;
  readonly bytes: Uint8Array;
  /** Octets on the wire, when the capture holds fewer. */
  readonly original?: number;
  /** pcapng: which of the described interfaces. */
  readonly interface?: number;
}

interface PcapOptions {
  readonly bigEndian?: boolean;
  readonly nanoseconds?: boolean;
  readonly linkType?: number;
}

const SECOND_NS = 1_000_000_000n;

/** Numbers in the byte order of a file. */
class Writer {
  readonly #parts: Buffer[] = [];
  constructor(readonly bigEndian: boolean) {}

  u16(value: number): this {
    const bytes = Buffer.alloc(2);
    if (this.bigEndian) bytes.writeUInt16BE(value);
    else bytes.writeUInt16LE(value);
    return this.raw(bytes);
  }

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    if (this.bigEndian) bytes.writeUInt32BE(value >>> 0);
    else bytes.writeUInt32LE(value >>> 0);
    return this.raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  padded(bytes: Uint8Array): this {
    return this.raw(bytes).raw(new Uint8Array((4 - (bytes.length % 4)) % 4));
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** libpcap's savefile format. */
export function pcap(frames: readonly Frame[], options: PcapOptions = {}): Buffer {
  const { bigEndian = false, nanoseconds = false, linkType = 1 } = options;
  const writer = new Writer(bigEndian)
    .u32(nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4)
    .u16(2)
    .u16(4)
    .u32(0)
    .u32(0)
    .u32(262_144)
    .u32(linkType);
  for (const { timeNs, bytes, original } of frames) {
    writer
      .u32(Number(timeNs / SECOND_NS))
      .u32(Number((timeNs % SECOND_NS) / (nanoseconds ? 1n : 1000n)))
      .u32(bytes.length)
      .u32(original ?? bytes.length)
      .raw(bytes);
  }
  return writer.bytes();
}

export interface NgInterface {
  readonly linkType?: number;
  /** if_tsresol as it stands in the file: 6 = µs, 9 = ns, 0x80 | n = 2^-n s. */
  readonly resolution?: number;
  /** if_tsoffset, seconds. */
  readonly offsetSeconds?: number;
  readonly snapLength?: number;
}

type BlockKind = 'enhanced' | 'simple' | 'obsolete';

/** pcapng, one block at a time. */
export class PcapNg {
  readonly #writer: Writer;
  readonly #interfaces: NgInterface[] = [];

  constructor(readonly bigEndian = false) {
    this.#writer = new Writer(bigEndian);
  }

  block(type: number, body: Uint8Array): this {
    const length = 12 + Math.ceil(body.length / 4) * 4;
    this.#writer.u32(type).u32(length).padded(body).u32(length);
    return this;
  }

  section(): this {
    this.#interfaces.length = 0;
    const body = this.#body().u32(0x1a2b3c4d).u16(1).u16(0).u32(0xffffffff).u32(0xffffffff);
    return this.block(0x0a0d0d0a, body.bytes());
  }

  interface(options: NgInterface = {}): this {
    this.#interfaces.push(options);
    const body = this.#body()
      .u16(options.linkType ?? 1)
      .u16(0)
      .u32(options.snapLength ?? 0);
    if (options.resolution !== undefined) body.u16(9).u16(1).padded(Uint8Array.of(options.resolution));
    if (options.offsetSeconds !== undefined) {
      const [low, high] = [options.offsetSeconds, options.offsetSeconds < 0 ? 0xffffffff : 0];
      body.u16(14).u16(8);
      if (this.bigEndian) body.u32(high).u32(low);
      else body.u32(low).u32(high);
    }
    return this.block(1, body.u16(0).u16(0).bytes());
  }

  packet(frame: Frame, kind: BlockKind = 'enhanced'): this {
    const { bytes, timeNs } = frame;
    const original = frame.original ?? bytes.length;
    const number = frame.interface ?? 0;
    if (kind === 'simple') return this.block(3, this.#body().u32(original).raw(bytes).bytes());
    const on = this.#interfaces[number] ?? {};
    const resolution = on.resolution ?? 6;
    const units = resolution & 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
    const time = ((timeNs - BigInt(on.offsetSeconds ?? 0) * SECOND_NS) * units) / SECOND_NS;
    const body = this.#body();
    if (kind === 'enhanced') body.u32(number);
    else body.u16(number).u16(0);
    body
      .u32(Number(time >> 32n))
      .u32(Number(time & 0xffffffffn))
      .u32(bytes.length)
      .u32(original)
      .raw(bytes);
    return this.block(kind === 'enhanced' ? 6 : 2, body.bytes());
  }

  bytes(): Buffer {
    return this.#writer.bytes();
  }

  #body(): Writer {
    return new Writer(this.bigEndian);
  }
}
