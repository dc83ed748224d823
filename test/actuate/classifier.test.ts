import { describe, expect, test } from 'vitest';
import { ClassicBpf, MOST_INSTRUCTIONS } from '../../src/actuate/classic-bpf.js';
import { classifierPrograms } from '../../src/actuate/classifier.js';
import type { ServiceEndpoint } from '../../src/actuate/link.js';
import { type PacketBuilder, packet } from '../bpf/packet.js';

/** Classic BPF as Linux Documentation/networking/filter.rst describes it, over what begins at the network header. */
function run(program: string, octets: Uint8Array): number {
  const [count, ...lines] = program.split(',');
  expect(lines).toHaveLength(Number(count));
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const memory: number[] = [];
  let [a, x] = [0, 0];
  for (let at = 0; at < lines.length; at += 1) {
    const [opcode, ifTrue, ifFalse, k] = lines[at]!.split(' ').map(Number) as [
      number,
      number,
      number,
      number,
    ];
    // Offsets from the network header are those above SKF_NET_OFF.
    const offset = (k + 0x100000) % 2 ** 32;
    const load = (from: number, size: 1 | 2 | 4): boolean => {
      if (from + size > view.byteLength) return false;
      a = size === 1 ? view.getUint8(from) : size === 2 ? view.getUint16(from) : view.getUint32(from);
      return true;
    };
    // A load beyond the packet ends the program with 0.
    if (opcode === 0x30 && !load(offset, 1)) return 0;
    if (opcode === 0x28 && !load(offset, 2)) return 0;
    if (opcode === 0x20 && !load(offset, 4)) return 0;
    if (opcode === 0x50 && !load(offset + x, 1)) return 0;
    if (opcode === 0x48 && !load(offset + x, 2)) return 0;
    if (opcode === 0xb1) x = 4 * (view.getUint8(offset) & 15);
    if (opcode === 0x01) x = k;
    if (opcode === 0x60) a = memory[k]!;
    if (opcode === 0x02) memory[k] = a;
    if (opcode === 0x54) a = (a & k) >>> 0;
    if (opcode === 0x04) a += k;
    if (opcode === 0x64) a <<= k;
    if (opcode === 0x74) a >>>= k;
    if (opcode === 0x0c) a += x;
    if (opcode === 0x07) x = a;
    if (opcode === 0x05) at += k;
    if (opcode === 0x15) at += a === k ? ifTrue : ifFalse;
    if (opcode === 0x45) at += (a & k) !== 0 ? ifTrue : ifFalse;
    if (opcode === 0x06) return k;
  }
  throw new Error('ran off the end');
}

const endpoints: ServiceEndpoint[] = [
  { address: '192.0.2.10', protocol: 'tcp', port: 443 },
  { address: '198.51.100.0', prefixLength: 22, protocol: 'udp', port: 53 },
  { address: '2001:db8::10', protocol: 'tcp', port: 443 },
  { address: '2001:db8:7::', prefixLength: 49, protocol: 'udp', port: 53 },
];
const own = classifierPrograms(endpoints);
const matches = (from: PacketBuilder, programs: readonly string[] = own): boolean => {
  const octets = from.bytes();
  const results = programs.map((program) => run(program, octets));
  expect(results.every((result) => result === 0 || result === 0xffffffff)).toBe(true);
  return results.some((result) => result !== 0);
};
const v4 = { source: '203.0.113.9', destination: '192.0.2.10' };
const v6 = { source: '2001:db8:ffff::1', destination: '2001:db8::10' };
const to443 = { sport: 50_000, dport: 443 };

describe('classifier', () => {
  test.each<[string, PacketBuilder]>([
    ['to the service', packet().ipv4(v4).tcp(to443)],
    ['from the service', packet().ipv4({ source: '192.0.2.10' }).tcp({ sport: 443, dport: 50_000 })],
    [
      'IPv4 options in between',
      packet()
        .ipv4({ ...v4, options: [7, 7, 4, 0, 0, 0, 0, 0] })
        .tcp(to443),
    ],
    [
      'a first fragment',
      packet()
        .ipv4({ ...v4, moreFragments: true })
        .tcp(to443),
    ],
    [
      'in a prefix',
      packet()
        .ipv4({ ...v4, destination: '198.51.103.255' })
        .udp({ dport: 53 }),
    ],
    ['IPv6', packet().ipv6(v6).tcp(to443)],
    ['IPv6 with extensions', packet().ipv6(v6).extension(0, 1).extension(60).extension(43, 2).tcp(to443)],
    ['in an IPv6 prefix', packet().ipv6({ destination: '2001:db8:7:7fff::1' }).udp({ dport: 53 })],
    ['from an IPv6 prefix', packet().ipv6({ source: '2001:db8:7::1' }).udp({ sport: 53, dport: 9 })],
  ])('%s: in the class', (_what, frame) => {
    expect(matches(frame)).toBe(true);
  });

  test.each<[string, PacketBuilder]>([
    ['another port', packet().ipv4(v4).tcp({ sport: 443, dport: 80 })],
    ['another protocol', packet().ipv4(v4).udp(to443)],
    [
      'another address',
      packet()
        .ipv4({ ...v4, destination: '192.0.2.11' })
        .tcp(to443),
    ],
    [
      'a fragment further on',
      packet()
        .ipv4({ ...v4, fragmentOffset: 64 })
        .tcp(to443),
    ],
    [
      'beside the prefix',
      packet()
        .ipv4({ ...v4, destination: '198.51.104.0' })
        .udp({ dport: 53 }),
    ],
    ['beside the IPv6 prefix', packet().ipv6({ destination: '2001:db8:7:8000::1' }).udp({ dport: 53 })],
    ['the port of the other side', packet().ipv4(v4).tcp({ sport: 443, dport: 443 }).payload(0)],
    ['an IPv6 fragment', packet().ipv6(v6).fragment(1, 0, true).tcp(to443)],
    [
      'too many extensions',
      [0, 60, 60, 60, 60, 60, 60].reduce((p, n) => p.extension(n), packet().ipv6(v6)).tcp(to443),
    ],
    ['no transport', packet().ipv4({ ...v4, protocol: 6 })],
    ['no IP', packet().raw([0, 1, 8, 0, 6, 4])],
    ['nothing', packet().raw([])],
  ])('%s', (what, frame) => {
    // To the service's port counts whatever the other port is.
    expect(matches(frame)).toBe(what === 'the port of the other side');
  });

  test('many endpoints make several programs that the kernel would take, and each endpoint is in one', () => {
    const many = Array.from({ length: 300 }, (_, i): ServiceEndpoint => {
      const protocol = i % 3 === 0 ? 'udp' : 'tcp';
      return i % 2 === 0
        ? { address: `192.0.2.${i % 256}`, protocol, port: 1000 + i }
        : { address: `2001:db8::${i.toString(16)}`, protocol, port: 1000 + i };
    });
    const programs = classifierPrograms(many);
    expect(programs).toHaveLength(3);
    for (const program of programs)
      expect(Number(program.split(',')[0])).toBeLessThanOrEqual(MOST_INSTRUCTIONS);
    for (const { address, protocol, port } of many) {
      const ports = { sport: 9, dport: port };
      const ip = address.includes(':')
        ? packet().ipv6({ destination: address })
        : packet().ipv4({ destination: address });
      expect(matches(protocol === 'tcp' ? ip.tcp(ports) : ip.udp(ports), programs)).toBe(true);
    }
    expect(classifierPrograms([])).toEqual([]);
  });

  test('a jump that cannot be made is told, not cut off', () => {
    expect(() => String(new ClassicBpf().jump('nowhere'))).toThrow(/no label nowhere/);
    const far = new ClassicBpf().jumpIf('jumpIfEqual', 1, 'far');
    for (let i = 0; i < 256; i += 1) far.do('add', 1);
    expect(() => String(far.label('far').do('return'))).toThrow(/far is 256 instructions away/);
  });
});
