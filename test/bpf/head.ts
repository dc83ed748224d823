/** Reads payload heads (struct tg_head of bpf/flow_abi.h) for tests. The layout is compared with the object's BTF. */

/** name → [offset, element bytes, elements]. */
export const HEAD_LAYOUT = {
  time_ns: [0, 8, 1],
  key: [8, 48, 1],
  sequence: [56, 4, 1],
  payload: [60, 2, 1],
  octets: [62, 2, 1],
  direction: [64, 1, 1],
  number: [65, 1, 1],
  side: [66, 1, 1],
  opened: [67, 1, 1],
  reserved: [68, 1, 4],
} as const;
const HEAD_BYTES = 72;
const PORT_OFFSET = 32;

export interface Head {
  /** The flow's key as hex digits. */
  readonly key: string;
  readonly ports: readonly [number, number];
  readonly sequence: number;
  readonly payload: number;
  readonly direction: number;
  readonly number: number;
  readonly side: number;
  /** 0 = a TCP flow without its SYN. */
  readonly opened: number;
  readonly bytes: string;
}

export function headsOf(buffer: Buffer): Head[] {
  const heads: Head[] = [];
  for (let at = 0; at < buffer.length; ) {
    const octets = buffer.readUInt16LE(at + HEAD_LAYOUT.octets[0]);
    const key = at + HEAD_LAYOUT.key[0];
    const end = at + HEAD_BYTES + octets;
    heads.push({
      key: buffer.toString('hex', key, key + HEAD_LAYOUT.key[1]),
      ports: [buffer.readUInt16LE(key + PORT_OFFSET), buffer.readUInt16LE(key + PORT_OFFSET + 2)],
      sequence: buffer.readUInt32LE(at + HEAD_LAYOUT.sequence[0]),
      payload: buffer.readUInt16LE(at + HEAD_LAYOUT.payload[0]),
      direction: buffer.readUInt8(at + HEAD_LAYOUT.direction[0]),
      number: buffer.readUInt8(at + HEAD_LAYOUT.number[0]),
      side: buffer.readUInt8(at + HEAD_LAYOUT.side[0]),
      opened: buffer.readUInt8(at + HEAD_LAYOUT.opened[0]),
      bytes: buffer.toString('latin1', at + HEAD_BYTES, end),
    });
    at = end;
  }
  return heads;
}
