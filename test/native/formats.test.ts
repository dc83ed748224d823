import { describe, expect, test } from 'vitest';
import { packet } from '../bpf/packet.js';
import { type Frame, PcapNg, pcap } from './capture-file.js';
import { collect, numberOf, totalPackets } from './collect.js';

const START_NS = 1_767_225_600_123_456_789n;
const ETHERNET_HEADER = 14;

const udp = (sport: number): Uint8Array =>
  packet()
    .ether()
    .ipv4({ source: '10.0.0.1', destination: '10.0.0.2' })
    .udp({ sport, dport: 53 })
    .payload(30)
    .bytes();
const frame = (i: number, more: Partial<Frame> = {}): Frame => ({
  timeNs: START_NS + BigInt(i) * 1_000_000n,
  bytes: udp(40_000 + i),
  ...more,
});
/** Whether the records start so many microseconds after START_NS, within a tick of 1.024 us and a file's microsecond. */
function expectStarts(
  records: readonly Readonly<Record<string, unknown>>[],
  expectedUs: readonly number[],
): void {
  const starts = records
    .map((r) => Number(BigInt(r.flowStartNanoseconds as string) - START_NS) / 1000)
    .sort((x, y) => x - y);
  expect(starts).toHaveLength(expectedUs.length);
  for (const [i, us] of expectedUs.entries()) expect(Math.abs(starts[i]! - us)).toBeLessThan(2.1);
}

describe('pcap', () => {
  for (const bigEndian of [false, true])
    for (const nanoseconds of [false, true])
      test(`${bigEndian ? 'big' : 'little'} endian, ${nanoseconds ? 'nano' : 'micro'}seconds`, async () => {
        const { records, files } = await collect([
          pcap([frame(0), frame(1), frame(2)], { bigEndian, nanoseconds }),
        ]);
        expect(files[0]).toMatchObject({ packets: 3, damage: '' });
        expectStarts(records, [0, 1000, 2000]);
      });

  test('a packet of which the capture holds only the headers counts with its length on the wire', async () => {
    const bytes = packet().ether().ipv4({ totalLength: 1500 }).tcp({ sport: 1, dport: 2 }).bytes();
    const { records } = await collect([pcap([{ timeNs: START_NS, bytes, original: 1514 }])]);
    expect(records[0]).toMatchObject({ packetDeltaCount: 1, octetDeltaCount: 1500 });
  });

  test('a lying length on the wire cannot overflow a sum', async () => {
    const frames = Array.from({ length: 600 }, (_, i) => ({
      timeNs: START_NS + BigInt(i),
      bytes: packet().ether({ type: 0x88cc }).payload(40).bytes(),
      original: 0xffffffff,
    }));
    const { records, counters } = await collect([pcap(frames)]);
    expect(records).toHaveLength(1);
    expect(numberOf(records[0]!, 'octetDeltaCount')).toBe(counters.seenOctets);
  });
});

describe('pcapng', () => {
  for (const bigEndian of [false, true])
    test(`${bigEndian ? 'big' : 'little'} endian: interfaces with resolutions and offsets of their own, all packet blocks`, async () => {
      const file = new PcapNg(bigEndian)
        .section()
        .interface()
        .interface({ resolution: 9 })
        .interface({ resolution: 0x80 | 20 })
        .interface({ resolution: 6, offsetSeconds: 3600 })
        .packet(frame(0))
        .packet(frame(1, { interface: 1 }))
        .packet(frame(2, { interface: 2 }))
        .packet(frame(3, { interface: 3 }))
        .packet(frame(4, { interface: 1 }), 'obsolete')
        .block(5, new Uint8Array(24))
        .block(0x0bad, new Uint8Array(600_000))
        .packet(frame(5), 'simple')
        .bytes();
      const { records, files } = await collect([file]);
      expect(files[0]).toMatchObject({ packets: 6, damage: '' });
      // The simple block has no time: it counts as the packet before it.
      expectStarts(records, [0, 1000, 2000, 3000, 4000, 4000]);
      expect(records.map((r) => numberOf(r, 'ingressInterface')).sort()).toEqual([0, 0, 1, 1, 2, 3]);
    });

  test('a second section starts over with its own interfaces and byte order', async () => {
    const first = new PcapNg(false).section().interface().packet(frame(0)).bytes();
    const second = new PcapNg(true)
      .section()
      .interface({ linkType: 101, resolution: 9 })
      .packet({ timeNs: START_NS, bytes: udp(1).subarray(ETHERNET_HEADER) })
      .bytes();
    const { records, files } = await collect([Buffer.concat([first, second])]);
    expect(files[0]).toMatchObject({ packets: 2, damage: '' });
    expect(records.map((r) => r.protocolIdentifier)).toEqual([17, 17]);
  });

  test('damage is named with its offset', async () => {
    const good = new PcapNg().section().interface().packet(frame(0));
    const at = good.bytes().length;
    const cases: readonly (readonly [string, Buffer, string])[] = [
      ['a block that is too short', Buffer.concat([good.bytes(), Buffer.alloc(12, 4)]), 'block cut off'],
      [
        'an unknown interface',
        Buffer.concat([good.bytes(), new PcapNg().packet(frame(1, { interface: 9 })).bytes()]),
        'packet of an interface that was not described',
      ],
      [
        'two lengths that differ',
        Buffer.concat([
          good.bytes(),
          Buffer.from([1, 0, 0, 0, 20, 0, 0, 0, ...Array(8).fill(0), 24, 0, 0, 0]),
        ]),
        'the two lengths of a block differ',
      ],
      [
        'a length that is no multiple of four',
        Buffer.concat([good.bytes(), Buffer.from([1, 0, 0, 0, 21, 0, 0, 0, ...Array(13).fill(0)])]),
        'impossible block length',
      ],
    ];
    for (const [name, bytes, damage] of cases) {
      const { files, records } = await collect([bytes]);
      expect([name, files[0]!.damage, files[0]!.damageOffset]).toEqual([name, damage, at]);
      expect(totalPackets(records)).toBe(1);
    }
  });
});

describe('damage anywhere', () => {
  test('every cut gives all whole packets before it, and nothing crashes on any changed octet', async () => {
    const ng = new PcapNg().section().interface().packet(frame(0)).packet(frame(1), 'simple').bytes();
    for (const whole of [pcap([frame(0), frame(1)]), ng]) {
      const cuts = Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length));
      const { files } = await collect(cuts);
      let before = 0;
      for (const [length, { packets, damage, damageOffset }] of files.entries()) {
        expect(packets).toBeGreaterThanOrEqual(before);
        before = packets;
        if (damage !== '') expect(damageOffset).toBeLessThanOrEqual(length);
      }
      expect(before).toBe(1);
      const changed = Array.from({ length: whole.length }, (_, i) => {
        const copy = Buffer.from(whole);
        copy[i] = copy[i]! ^ 0xff;
        return copy;
      });
      const { counters } = await collect(changed);
      expect(counters.deliveredPackets).toBe(counters.seenPackets);
    }
  });
});

describe('link types', () => {
  const ip4 = udp(1).subarray(ETHERNET_HEADER);
  const ip6 = packet().ether().ipv6().udp({ sport: 1, dport: 2 }).bytes().subarray(ETHERNET_HEADER);
  const join = (head: readonly number[], rest: Uint8Array): Uint8Array => Uint8Array.from([...head, ...rest]);
  const sll = (type: number): number[] => [...Array(14).fill(0), type >> 8, type & 255];
  const sll2 = (type: number): number[] => [type >> 8, type & 255, ...Array(18).fill(0)];
  const rows: readonly (readonly [string, number, Uint8Array, 4 | 6])[] = [
    ['raw IPv4', 101, ip4, 4],
    ['raw IPv6', 101, ip6, 6],
    ['raw (OpenBSD)', 12, ip4, 4],
    ['raw (other BSD)', 14, ip6, 6],
    ['IPv4', 228, ip4, 4],
    ['IPv6', 229, ip6, 6],
    ['null, little endian', 0, join([2, 0, 0, 0], ip4), 4],
    ['null, big endian', 0, join([0, 0, 0, 30], ip6), 6],
    ['loop', 108, join([0, 0, 0, 2], ip4), 4],
    ['Linux cooked', 113, join(sll(0x0800), ip4), 4],
    ['Linux cooked with a VLAN tag', 113, join([...sll(0x8100), 0, 7, 0x86, 0xdd], ip6), 6],
    ['Linux cooked 2', 276, join(sll2(0x86dd), ip6), 6],
    ['PPP', 9, join([0xff, 0x03, 0x00, 0x21], ip4), 4],
    ['PPP, compressed fields', 9, join([0x21], ip4), 4],
    ['PPP in HDLC framing', 50, join([0xff, 0x03, 0x00, 0x57], ip6), 6],
    ['PPPoE', 51, join([0x11, 0, 0, 9, 0, 0, 0x00, 0x21], ip4), 4],
    ['Cisco HDLC', 104, join([0x0f, 0x00, 0x08, 0x00], ip4), 4],
  ];
  test.each(rows)('%s', async (_name, linkType, bytes, version) => {
    const { records } = await collect([pcap([{ timeNs: START_NS, bytes }], { linkType })]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ ipVersion: version, protocolIdentifier: 17 });
  });

  test('a type that is not supported is counted under its name, and so is a frame that is too short', async () => {
    const file = (linkType: number, length: number): Buffer =>
      pcap([{ timeNs: START_NS, bytes: new Uint8Array(length) }], { linkType });
    const { counters, records } = await collect([file(147, 60), file(113, 10), file(101, 0), file(1, 13)]);
    expect(counters.unparsed).toEqual({ linkType: 1, shortEthernet: 3 });
    expect(totalPackets(records)).toBe(4);
  });
});
