/**
 * Reads delta records (struct tg_delta of bpf/flow_abi.h) for tests. `DELTA_LAYOUT` is compared with the compiled
 * object's BTF in layout.test.ts, so this table cannot drift from the C.
 */

/** name → [offset, element bytes, elements]. */
export const DELTA_LAYOUT = {
  tag: [0, 4, 1],
  last_tick: [4, 4, 2],
  packets: [12, 2, 2],
  octets: [16, 4, 2],
  state: [24, 1, 1],
  payload_count: [25, 1, 1],
  seen: [26, 1, 1],
  link: [27, 1, 1],
  rule: [28, 2, 1],
  reason: [30, 1, 1],
  cpu: [31, 1, 1],
  size_bins: [32, 1, 32],
  iat_bins: [64, 1, 32],
  flag_counts: [96, 1, 16],
  first_payload: [112, 2, 8],
  key: [128, 48, 1],
  ttl_min: [176, 1, 2],
  ttl_max: [178, 1, 2],
  window_min: [180, 2, 2],
  window_max: [184, 2, 2],
  rtt_tick: [188, 4, 1],
  first_tick: [192, 4, 2],
  ingress_ifindex: [200, 4, 2],
  mss: [208, 2, 2],
  window_scale: [212, 1, 2],
  tos: [214, 1, 2],
  syn_tick: [216, 4, 1],
  entry_tick: [220, 4, 1],
  head: [224, 1, 32],
} as const;

/** name → offset in struct tg_flow_key. */
export const KEY_LAYOUT = {
  lower_address: [0, 1, 16],
  upper_address: [16, 1, 16],
  lower_port: [32, 2, 1],
  upper_port: [34, 2, 1],
  protocol: [36, 1, 1],
  kind: [37, 1, 1],
  vlan: [38, 2, 1],
  tunnel_id: [40, 4, 1],
  inner_vlan: [44, 2, 1],
  tunnel_kind: [46, 2, 1],
} as const;

export const DELTA_BYTES = 256;
export const KIND = { nonIp: 0, ipv4: 4, ipv6: 6, fragment: 8, unparsed: 9 } as const;
export const REASON = { evict: 1, overflow: 2, age: 3, idle: 4, flush: 5 } as const;
export const STATE = {
  synLower: 1,
  synUpper: 2,
  synAck: 4,
  firstUpper: 8,
  finLower: 16,
  finUpper: 32,
  rst: 64,
  continues: 128,
} as const;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** An address as text: dotted when IPv4-mapped, else plain hex groups without compression. */
const addressText = (bytes: Uint8Array): string =>
  hex(bytes.subarray(0, 12)) === '00000000000000000000ffff'
    ? [...bytes.subarray(12)].join('.')
    : hex(bytes)
        .replace(/(.{4})(?=.)/g, '$1:')
        .replace(/\b0{1,3}/g, '');

/** One delta record. Arrays of two are [lower → upper, upper → lower]. */
export class Delta {
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, DELTA_BYTES);
  }

  numbers(name: Exclude<keyof typeof DELTA_LAYOUT, 'key'>): number[] {
    const [offset, width, count] = DELTA_LAYOUT[name];
    return Array.from({ length: count }, (_, i) => {
      const at = offset + i * width;
      if (name === 'first_payload') return this.#view.getInt16(at, true);
      return width === 1
        ? this.#view.getUint8(at)
        : width === 2
          ? this.#view.getUint16(at, true)
          : this.#view.getUint32(at, true);
    });
  }

  number(name: Exclude<keyof typeof DELTA_LAYOUT, 'key'>): number {
    return this.numbers(name)[0]!;
  }

  get key() {
    const at = DELTA_LAYOUT.key[0];
    const view = this.#view;
    return {
      lower: addressText(this.bytes.subarray(at, at + 16)),
      upper: addressText(this.bytes.subarray(at + 16, at + 32)),
      lowerPort: view.getUint16(at + KEY_LAYOUT.lower_port[0], true),
      upperPort: view.getUint16(at + KEY_LAYOUT.upper_port[0], true),
      protocol: view.getUint8(at + KEY_LAYOUT.protocol[0]),
      kind: view.getUint8(at + KEY_LAYOUT.kind[0]),
      vlan: view.getUint16(at + KEY_LAYOUT.vlan[0], true),
      innerVlan: view.getUint16(at + KEY_LAYOUT.inner_vlan[0], true),
      tunnelId: view.getUint32(at + KEY_LAYOUT.tunnel_id[0], true),
      tunnelKind: view.getUint16(at + KEY_LAYOUT.tunnel_kind[0], true),
    };
  }

  /** Everything that a record says, for comparing two builds: ring number and CPU are left out. */
  facts(): Record<string, unknown> {
    const facts: Record<string, unknown> = { key: this.key };
    for (const name of Object.keys(DELTA_LAYOUT) as (keyof typeof DELTA_LAYOUT)[])
      if (name !== 'key' && name !== 'tag' && name !== 'cpu') facts[name] = this.numbers(name);
    const payloads = this.number('payload_count');
    // Times mean something only where there were packets.
    const packets = this.numbers('packets');
    for (const name of ['first_tick', 'last_tick'] as const)
      facts[name] = this.numbers(name).map((tick, d) => (packets[d]! > 0 ? tick : undefined));
    facts.first_payload = this.numbers('first_payload').slice(0, payloads);
    return facts;
  }
}

export const deltas = (buffer: Uint8Array): Delta[] =>
  Array.from(
    { length: buffer.byteLength / DELTA_BYTES },
    (_, i) => new Delta(buffer.subarray(i * DELTA_BYTES, (i + 1) * DELTA_BYTES)),
  );
