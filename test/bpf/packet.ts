/**
 * A packet builder: layers are stacked outermost first, lengths and next-protocol fields are filled in when the
 * bytes are asked for, unless a field was given. `packet().ether().ipv4({…}).tcp({…}).payload(100).bytes()`.
 */

type Bytes = Uint8Array;

interface Layer {
  readonly kind: string;
  /** Header bytes, knowing what follows: its bytes, its EtherType and its IP protocol number. */
  build(rest: Bytes, next: { etherType: number; protocol: number }): Bytes;
  readonly etherType?: number;
  readonly protocol?: number;
}

const u16 = (n: number): number[] => [(n >> 8) & 255, n & 255];
const u24 = (n: number): number[] => [(n >> 16) & 255, ...u16(n)];
const u32 = (n: number): number[] => [...u16(n >>> 16), ...u16(n)];

/** `10.0.0.1` → 4 bytes. */
export const ipv4Bytes = (text: string): number[] => text.split('.').map(Number);

/** `2001:db8::1` → 16 bytes. */
export function ipv6Bytes(text: string): number[] {
  const [head = '', tail] = text.split('::') as [string, string | undefined];
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...middle, ...right].flatMap(u16);
}

const macBytes = (text: string): number[] => text.split(':').map((part) => Number.parseInt(part, 16));

export interface Ipv4Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  readonly protocol?: number;
  /** Fragment offset in octets. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  /** Option octets; padded to a multiple of four. */
  readonly options?: readonly number[];
  readonly totalLength?: number;
  /** Header length field in 32-bit words, when it should lie. */
  readonly headerWords?: number;
  readonly version?: number;
}

export interface Ipv6Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly next?: number;
  readonly payloadLength?: number;
  readonly version?: number;
}

export interface TcpFields {
  readonly sport?: number;
  readonly dport?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly options?: readonly number[];
  readonly headerWords?: number;
  readonly sequence?: number;
}

export const TCP = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

export class PacketBuilder {
  readonly #layers: readonly Layer[];

  constructor(layers: readonly Layer[] = []) {
    this.#layers = layers;
  }

  #with(layer: Layer): PacketBuilder {
    return new PacketBuilder([...this.#layers, layer]);
  }

  ether(fields: { source?: string; destination?: string; type?: number } = {}): PacketBuilder {
    return this.#with({
      kind: 'ether',
      build: (_rest, next) =>
        Uint8Array.from([
          ...macBytes(fields.destination ?? '02:00:00:00:00:02'),
          ...macBytes(fields.source ?? '02:00:00:00:00:01'),
          ...u16(fields.type ?? next.etherType),
        ]),
    });
  }

  vlan(id: number, fields: { tpid?: number; priority?: number; type?: number } = {}): PacketBuilder {
    return this.#with({
      kind: 'vlan',
      etherType: fields.tpid ?? 0x8100,
      build: (_rest, next) =>
        Uint8Array.from([...u16(((fields.priority ?? 0) << 13) | id), ...u16(fields.type ?? next.etherType)]),
    });
  }

  pppoe(session: number): PacketBuilder {
    return this.#with({
      kind: 'pppoe',
      etherType: 0x8864,
      build: (rest, next) =>
        Uint8Array.from([
          0x11,
          0,
          ...u16(session),
          ...u16(rest.length + 2),
          ...u16(next.etherType === 0x86dd ? 0x57 : 0x21),
        ]),
    });
  }

  /** One MPLS label stack entry; `bottom` defaults to whether an IP header follows. */
  mpls(label: number, bottom?: boolean): PacketBuilder {
    return this.#with({
      kind: 'mpls',
      etherType: 0x8847,
      build: (_rest, next) => {
        const last = bottom ?? next.etherType !== 0x8847;
        return Uint8Array.from([...u24((label << 4) | (last ? 1 : 0)), 64]);
      },
    });
  }

  ipv4(fields: Ipv4Fields = {}): PacketBuilder {
    const options = [...(fields.options ?? [])];
    while (options.length % 4 !== 0) options.push(0);
    return this.#with({
      kind: 'ipv4',
      etherType: 0x0800,
      protocol: 4,
      build: (rest, next) =>
        Uint8Array.from([
          ((fields.version ?? 4) << 4) | (fields.headerWords ?? 5 + options.length / 4),
          fields.tos ?? 0,
          ...u16(fields.totalLength ?? 20 + options.length + rest.length),
          ...u16(fields.id ?? 0),
          ...u16((fields.moreFragments ? 0x2000 : 0) | ((fields.fragmentOffset ?? 0) / 8)),
          fields.ttl ?? 64,
          fields.protocol ?? next.protocol,
          0,
          0,
          ...ipv4Bytes(fields.source ?? '10.0.0.1'),
          ...ipv4Bytes(fields.destination ?? '10.0.0.2'),
          ...options,
        ]),
    });
  }

  ipv6(fields: Ipv6Fields = {}): PacketBuilder {
    return this.#with({
      kind: 'ipv6',
      etherType: 0x86dd,
      protocol: 41,
      build: (rest, next) =>
        Uint8Array.from([
          ...u32((((fields.version ?? 6) << 28) | ((fields.trafficClass ?? 0) << 20)) >>> 0),
          ...u16(fields.payloadLength ?? rest.length),
          fields.next ?? next.protocol,
          fields.hopLimit ?? 64,
          ...ipv6Bytes(fields.source ?? '2001:db8::1'),
          ...ipv6Bytes(fields.destination ?? '2001:db8::2'),
        ]),
    });
  }

  /** An IPv6 extension header of `units × 8 + 8` octets (hop-by-hop 0, routing 43, destination 60, mobility 135). */
  extension(type: number, units = 0): PacketBuilder {
    return this.#with({
      kind: 'extension',
      protocol: type,
      build: (_rest, next) => Uint8Array.from([next.protocol, units, ...Array(6 + units * 8).fill(0)]),
    });
  }

  /** IPv6 authentication header (RFC 4302) with a 12-octet check value. */
  authentication(): PacketBuilder {
    return this.#with({
      kind: 'authentication',
      protocol: 51,
      build: (_rest, next) => Uint8Array.from([next.protocol, 4, ...Array(22).fill(0)]),
    });
  }

  /** IPv6 fragment header; offset in octets. */
  fragment(id: number, offset: number, more: boolean): PacketBuilder {
    return this.#with({
      kind: 'fragment',
      protocol: 44,
      build: (_rest, next) =>
        Uint8Array.from([next.protocol, 0, ...u16((offset & 0xfff8) | (more ? 1 : 0)), ...u32(id)]),
    });
  }

  tcp(fields: TcpFields = {}): PacketBuilder {
    const options = [...(fields.options ?? [])];
    while (options.length % 4 !== 0) options.push(0);
    return this.#with({
      kind: 'tcp',
      protocol: 6,
      build: () =>
        Uint8Array.from([
          ...u16(fields.sport ?? 40000),
          ...u16(fields.dport ?? 443),
          ...u32(fields.sequence ?? 1),
          ...u32(2),
          (fields.headerWords ?? 5 + options.length / 4) << 4,
          fields.flags ?? TCP.ACK,
          ...u16(fields.window ?? 1000),
          0,
          0,
          0,
          0,
          ...options,
        ]),
    });
  }

  udp(fields: { sport?: number; dport?: number; length?: number; protocol?: number } = {}): PacketBuilder {
    return this.#with({
      kind: 'udp',
      protocol: fields.protocol ?? 17,
      build: (rest) =>
        Uint8Array.from([
          ...u16(fields.sport ?? 40000),
          ...u16(fields.dport ?? 53),
          ...u16(fields.length ?? 8 + rest.length),
          0,
          0,
        ]),
    });
  }

  sctp(fields: { sport?: number; dport?: number } = {}): PacketBuilder {
    return this.#with({
      kind: 'sctp',
      protocol: 132,
      build: () =>
        Uint8Array.from([...u16(fields.sport ?? 5000), ...u16(fields.dport ?? 38412), ...Array(8).fill(0)]),
    });
  }

  icmp(type: number, code = 0, version: 4 | 6 = 4): PacketBuilder {
    return this.#with({
      kind: 'icmp',
      protocol: version === 4 ? 1 : 58,
      build: () => Uint8Array.from([type, code, 0, 0, 0, 1, 0, 1]),
    });
  }

  /** GRE (RFC 2784, key of RFC 2890). */
  gre(fields: { key?: number; type?: number; flags?: number } = {}): PacketBuilder {
    const keyed = fields.key !== undefined;
    return this.#with({
      kind: 'gre',
      protocol: 47,
      build: (_rest, next) =>
        Uint8Array.from([
          ...u16(fields.flags ?? (keyed ? 0x2000 : 0)),
          ...u16(fields.type ?? next.etherType),
          ...(keyed ? u32(fields.key!) : []),
        ]),
    });
  }

  vxlan(vni: number): PacketBuilder {
    return this.#with({
      kind: 'vxlan',
      build: () => Uint8Array.from([8, 0, 0, 0, ...u24(vni), 0]),
    });
  }

  geneve(vni: number, optionWords = 0): PacketBuilder {
    return this.#with({
      kind: 'geneve',
      build: () =>
        Uint8Array.from([optionWords, 0, 0x65, 0x58, ...u24(vni), 0, ...Array(optionWords * 4).fill(0)]),
    });
  }

  /** GTP-U (3GPP TS 29.281) G-PDU. */
  gtpu(teid: number): PacketBuilder {
    return this.#with({
      kind: 'gtpu',
      build: (rest) => Uint8Array.from([0x30, 255, ...u16(rest.length), ...u32(teid)]),
    });
  }

  /** Any header of a protocol that has no builder: only the number matters to what stands before it. */
  raw(bytes: readonly number[], numbers: { protocol?: number; etherType?: number } = {}): PacketBuilder {
    return this.#with({ kind: 'raw', build: () => Uint8Array.from(bytes), ...numbers });
  }

  payload(octets: number, fill = 0x61): PacketBuilder {
    return this.#with({ kind: 'payload', build: () => new Uint8Array(octets).fill(fill) });
  }

  /** The frame; `cut` keeps only so many octets of it. */
  bytes(cut?: number): Uint8Array {
    let rest: Bytes = new Uint8Array(0);
    let next = { etherType: 0, protocol: 59 };
    for (const layer of [...this.#layers].reverse()) {
      const header = layer.build(rest, next);
      const joined = new Uint8Array(header.length + rest.length);
      joined.set(header);
      joined.set(rest, header.length);
      rest = joined;
      next = { etherType: layer.etherType ?? 0, protocol: layer.protocol ?? 59 };
    }
    return cut === undefined ? rest : rest.subarray(0, cut);
  }
}

export const packet = (): PacketBuilder => new PacketBuilder();
