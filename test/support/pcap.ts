/** Capture files written octet by octet, so that a test knows what is in them. */

export interface CaptureFrame {
  readonly timeMs: number;
  readonly bytes: Uint8Array;
}

/** A UDP or TCP frame over IPv4 with a payload of so many zero octets. Checksums are left zero: nobody checks them. */
export function ipv4Frame(options: {
  readonly source: string;
  readonly destination: string;
  readonly protocol: 6 | 17;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: number;
  readonly flags?: number;
}): Uint8Array {
  const header = options.protocol === 6 ? 20 : 8;
  const bytes = Buffer.alloc(14 + 20 + header + options.payload);
  bytes.writeUInt16BE(0x0800, 12);
  bytes[14] = 0x45;
  bytes.writeUInt16BE(20 + header + options.payload, 16);
  bytes[22] = 64;
  bytes[23] = options.protocol;
  for (const [at, address] of [
    [26, options.source],
    [30, options.destination],
  ] as const) {
    for (const [i, part] of address.split('.').entries()) bytes[at + i] = Number(part);
  }
  bytes.writeUInt16BE(options.sourcePort, 34);
  bytes.writeUInt16BE(options.destinationPort, 36);
  if (options.protocol === 6) {
    bytes[46] = 0x50;
    bytes[47] = options.flags ?? 0x10;
    bytes.writeUInt16BE(8192, 48);
  } else {
    bytes.writeUInt16BE(header + options.payload, 38);
  }
  return bytes;
}

/** libpcap's classic format in either byte order, with microseconds or nanoseconds. */
export function pcapFile(frames: readonly CaptureFrame[], bigEndian = false, nanoseconds = false): Buffer {
  const word = (buffer: Buffer, value: number, at: number): void => {
    if (bigEndian) buffer.writeUInt32BE(value, at);
    else buffer.writeUInt32LE(value, at);
  };
  const head = Buffer.alloc(24);
  word(head, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 0);
  word(head, 262144, 16);
  word(head, 1, 20);
  const parts = frames.map(({ timeMs, bytes }) => {
    const packet = Buffer.alloc(16 + bytes.length);
    word(packet, Math.floor(timeMs / 1000), 0);
    word(packet, (timeMs % 1000) * (nanoseconds ? 1e6 : 1e3), 4);
    word(packet, bytes.length, 8);
    word(packet, bytes.length, 12);
    packet.set(bytes, 16);
    return packet;
  });
  return Buffer.concat([head, ...parts]);
}

/** pcapng: a section, one Ethernet interface with microseconds, and an enhanced packet block a frame. */
export function pcapngFile(frames: readonly CaptureFrame[]): Buffer {
  const block = (type: number, body: Buffer): Buffer => {
    const padded = Math.ceil(body.length / 4) * 4;
    const bytes = Buffer.alloc(12 + padded);
    bytes.writeUInt32LE(type, 0);
    bytes.writeUInt32LE(bytes.length, 4);
    bytes.set(body, 8);
    bytes.writeUInt32LE(bytes.length, bytes.length - 4);
    return bytes;
  };
  const section = Buffer.alloc(16, 0xff);
  section.writeUInt32LE(0x1a2b3c4d, 0);
  section.writeUInt16LE(1, 4);
  section.writeUInt16LE(0, 6);
  const interfaceBody = Buffer.alloc(8);
  interfaceBody.writeUInt16LE(1, 0);
  interfaceBody.writeUInt32LE(262144, 4);
  return Buffer.concat([
    block(0x0a0d0d0a, section),
    block(1, interfaceBody),
    ...frames.map(({ timeMs, bytes }) => {
      const body = Buffer.alloc(20 + bytes.length);
      const time = BigInt(Math.round(timeMs * 1000));
      body.writeUInt32LE(Number(time >> 32n), 4);
      body.writeUInt32LE(Number(time & 0xffffffffn), 8);
      body.writeUInt32LE(bytes.length, 12);
      body.writeUInt32LE(bytes.length, 16);
      body.set(bytes, 20);
      return block(6, body);
    }),
  ]);
}
