import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type HeaderRule, headerRulesConfig } from '../../src/capture/application-config.js';
import { ALL_DECODERS, wantsOf } from '../../src/capture/applications.js';
import { mergeWants } from '../../src/capture/payload-heads.js';
import type { FlowRecord } from '../../src/flow/record.js';
import { packet, TCP } from '../bpf/packet.js';
import { type Frame, pcap } from './capture-file.js';
import { clientHello, tlsRecords } from './client-hello.js';
import { collect, totalPackets } from './collect.js';

const START_NS = 1_767_225_600_000_000_000n;
const HELLO = tlsRecords(
  clientHello({ ciphers: [0x1301], extensions: [0, 43], serverName: 'www.shop.example', versions: [0x0304] }),
);
const NO_DECODERS = { tls: 'off', http: 'off', dns: 'off', quic: 'off' } as const;

const at = (ms: number, bytes: Uint8Array): Frame => ({ timeNs: START_NS + BigInt(ms) * 1_000_000n, bytes });
const segment = (sport: number, sequence: number, payload: Uint8Array, flags: number = TCP.ACK): Uint8Array =>
  packet()
    .ether()
    .ipv4()
    .tcp({ sport, dport: 443, sequence, flags })
    .raw([...payload])
    .bytes();
const connection = (ms: number, sport: number, sequence: number, payload: Uint8Array): Frame[] => [
  at(ms, segment(sport, sequence - 1, new Uint8Array(0), TCP.SYN)),
  at(ms + 1, segment(sport, sequence, payload)),
];
const datagram = (fields: { sport: number; dport: number }, payload: Uint8Array): Uint8Array =>
  packet()
    .ether()
    .ipv4()
    .udp(fields)
    .raw([...payload])
    .bytes();
const query = (label: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.length]),
    Buffer.from(label),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);

const records = async (
  frames: readonly Frame[],
  headerRules: readonly HeaderRule[] = [],
  options: Parameters<typeof collect>[1] = {},
): Promise<readonly FlowRecord[]> => {
  const decoders = headerRules.length > 0 ? NO_DECODERS : ALL_DECODERS;
  const found = await collect([pcap(frames)], { applications: { decoders, headerRules }, ...options });
  expect(totalPackets(found.records)).toBe(frames.length);
  return found.records;
};

describe('names travel with their flows', () => {
  test('a ClientHello in any segments in any order that a network makes of two', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: HELLO.length - 1 }),
        fc.boolean(),
        fc.boolean(),
        async (cut, reordered, repeated) => {
          const parts = [
            segment(40_000, 101, HELLO.subarray(0, cut)),
            segment(40_000, 101 + cut, HELLO.subarray(cut)),
          ];
          if (reordered) parts.reverse();
          if (repeated) parts.splice(1, 0, parts[0]!);
          const [record] = await records([
            ...connection(0, 40_000, 101, new Uint8Array(0)),
            ...parts.map((bytes, i) => at(i + 2, bytes)),
          ]);
          expect(record).toMatchObject({ tlsServerName: 'www.shop.example' });
        },
      ),
      { numRuns: 25 },
    );
  });

  test('in every record of a long flow', async () => {
    const more = Array.from({ length: 12 }, (_, i) =>
      at(10_000 * (i + 1), segment(40_000, 5_000 + i, Buffer.from('x'))),
    );
    const found = await records([...connection(0, 40_000, 101, HELLO), ...more], [], {
      activeTimeoutMs: 30_000,
    });
    expect(found.length).toBeGreaterThan(2);
    expect(found.map((record) => record.tlsServerName)).toEqual(found.map(() => 'www.shop.example'));
  });

  test('not in those of the next connection with the same ports, nor of the one before', async () => {
    const end = (ms: number): Frame => at(ms, segment(40_000, 9_000, new Uint8Array(0), TCP.RST));
    const http = Buffer.from('GET / HTTP/1.1\r\nHost: other.example\r\n\r\n');
    const found = await records([
      ...connection(0, 40_000, 101, Buffer.from('unknown protocol')),
      end(10),
      ...connection(30_000, 40_000, 50_000, HELLO),
      end(30_010),
      ...connection(60_000, 40_000, 90_000, http),
      end(60_010),
    ]);
    const byTime = [...found].sort((a, b) =>
      String(a.flowStartNanoseconds).localeCompare(String(b.flowStartNanoseconds)),
    );
    expect(byTime.map(({ tlsServerName, httpRequestHost }) => [tlsServerName, httpRequestHost])).toEqual([
      [undefined, undefined],
      ['www.shop.example', undefined],
      [undefined, 'other.example'],
    ]);
  });

  test('of a connection whose SYN was not seen, from the segment on that a client begins with', async () => {
    const http = Buffer.from('POST /a HTTP/1.1\r\nHost: late.example\r\n\r\n');
    const found = await records([
      at(0, segment(40_000, 7000, Buffer.from('in the middle'))),
      at(1, segment(40_000, 7013, HELLO.subarray(0, 40))),
      at(2, segment(40_000, 7053, HELLO.subarray(40))),
      at(3, segment(40_001, 500, http)),
      at(4, segment(40_002, 500, Buffer.from('nothing that anybody knows'))),
    ]);
    expect(found.map((r) => r.tlsServerName ?? r.httpRequestHost).sort()).toEqual([
      'late.example',
      'www.shop.example',
      undefined,
    ]);
  });

  test('of a connection that had left the cache before it spoke; and who has a name keeps it', async () => {
    const others = Array.from({ length: 600 }, (_, i) => at(20, segment(1024 + i, 1, Buffer.from('x'))));
    const other = tlsRecords(
      clientHello({
        ciphers: [0x1301],
        extensions: [0, 43],
        serverName: 'other.example',
        versions: [0x0304],
      }),
    );
    const found = await records(
      [
        ...connection(0, 40_000, 101, new Uint8Array(0)),
        ...connection(5, 40_001, 101, HELLO),
        ...others,
        at(30, segment(40_000, 101, HELLO)),
        at(31, segment(40_001, 9000, other)),
      ],
      [],
      { cacheEntries: 64 },
    );
    const named = found.flatMap(({ tlsServerName }) => tlsServerName ?? []);
    expect(named).toEqual(['www.shop.example', 'www.shop.example']);
  });

  test('rules count from the beginning of the stream, and find nothing where it was not seen', async () => {
    const rule = {
      name: 'word',
      transport: 'tcp',
      port: 443,
      direction: 'toPort',
      offset: 0,
      length: 3,
    } as const;
    const found = await records(
      [
        ...connection(0, 40_000, 101, Buffer.from('GET seen')),
        at(2, segment(40_001, 500, Buffer.from('GET unseen'))),
      ],
      [rule],
    );
    expect(found.map((record) => record.headerFields).sort()).toEqual([{ word: '474554' }, undefined]);
  });

  test('a resolver with one port for all: each flow has its own first question', async () => {
    const ports = { sport: 53, dport: 53 };
    const found = await records([
      at(0, datagram(ports, query('first'))),
      at(10, datagram(ports, query('second'))),
      at(60_000, datagram(ports, query('third'))),
    ]);
    expect(found.map((record) => record.dnsQName).sort()).toEqual(['first', 'third']);
  });

  test('known ports only, where that is what was asked for', async () => {
    const known = { tls: 'known', http: 'known', dns: 'known', quic: 'known' } as const;
    const frames = [
      at(0, datagram({ sport: 40_000, dport: 53 }, query('usual'))),
      at(1, datagram({ sport: 40_001, dport: 9953 }, query('odd'))),
    ];
    const found = await collect([pcap(frames)], { applications: { decoders: known, headerRules: [] } });
    expect(found.records.flatMap((record) => record.dnsQName ?? [])).toEqual(['usual']);
  });

  test('more flows than there is room for: some go without a name, none goes without its packets', async () => {
    const flows = 70_000;
    const frames = Array.from({ length: flows }, (_, i) =>
      at(0, datagram({ sport: 1024 + (i % 60_000), dport: 53 + Math.floor(i / 60_000) }, query(`q${i}`))),
    );
    const found = await collect([pcap(frames)], {
      applications: { decoders: ALL_DECODERS, headerRules: [] },
      cacheEntries: 1024,
    });
    expect(totalPackets(found.records)).toBe(flows);
    const named = found.records.filter((record) => record.dnsQName !== undefined).length;
    expect(named).toBe(65_536);
  });
});

const rule = (fields: Partial<HeaderRule>): HeaderRule => ({
  name: 'field',
  transport: 'udp',
  port: 9000,
  direction: 'toPort',
  offset: 0,
  length: 2,
  ...fields,
});

describe('header fields by rule', () => {
  const payload = Uint8Array.from({ length: 64 }, (_, i) => i + 0x80);

  test('sixteen at once, masked, each under its name', async () => {
    const rules = Array.from({ length: 16 }, (_, i) =>
      rule({ name: `f${i}`, offset: i * 3, length: 2, ...(i % 2 === 0 ? {} : { mask: '0fff' }) }),
    );
    const [record] = await records([at(0, datagram({ sport: 40_000, dport: 9000 }, payload))], rules);
    expect(record!.headerFields).toEqual(
      Object.fromEntries(
        rules.map(({ name, offset }, i) => {
          const value = [payload[offset]! & (i % 2 === 0 ? 0xff : 0x0f), payload[offset + 1]!];
          return [name, Buffer.from(value).toString('hex')];
        }),
      ),
    );
  });

  test('of the side, the port and the transport that they name, as far as the payload goes', async () => {
    const rules = [
      rule({ name: 'asked' }),
      rule({ name: 'answered', direction: 'fromPort' }),
      rule({ name: 'elsewhere', port: 9001 }),
      rule({ name: 'tcp', transport: 'tcp' }),
      rule({ name: 'everywhere', port: 0, offset: 1, length: 1 }),
      rule({ name: 'beyond', offset: 63 }),
    ];
    const answer = packet()
      .ether()
      .ipv4({ source: '10.0.0.2', destination: '10.0.0.1' })
      .udp({ sport: 9000, dport: 40_000 })
      .raw([0xaa, 0xbb, 0xcc])
      .bytes();
    const [record] = await records(
      [at(0, datagram({ sport: 40_000, dport: 9000 }, payload)), at(1, answer)],
      rules,
    );
    expect(record!.headerFields).toEqual({ asked: '8081', answered: 'aabb', everywhere: '81' });
  });

  test.each([
    [[rule({ mask: 'ff' })], 'mask', 'must have 4 hexadecimal digits for 2 octets, has 2'],
    [[rule({ mask: 'xyz1' })], 'mask', 'hexadecimal'],
    [[rule({ offset: 2040, length: 20 })], 'offset', 'at most 2048'],
    [[rule({ length: 0 })], 'length', '>=1'],
    [[rule({ name: 'a b' })], 'name', 'letters, digits'],
    [[rule({}), rule({})], 'name', 'is the name of two rules'],
  ])('%j is refused', (rules, field, words) => {
    const result = headerRulesConfig.safeParse(rules);
    const [issue] = result.error!.issues;
    expect(issue!.path.at(-1)).toBe(field);
    expect(issue!.message).toContain(words);
  });
});

test('the kernel is asked for the union of what is wanted of a port and of every port', () => {
  const wants = mergeWants(
    wantsOf({
      decoders: { ...NO_DECODERS, http: 'any' },
      headerRules: [rule({ transport: 'tcp', port: 443, direction: 'fromPort', offset: 10 })],
    }),
  );
  const of = (port: number) => wants.find((want) => want.port === port);
  expect(of(443)).toEqual({
    transport: 'tcp',
    port: 443,
    octets: 2048,
    packets: 2,
    sides: ['fromPort', 'toPort'],
  });
  expect(of(0)!.sides).toEqual(['toPort']);
});

describe('names under the settings for addresses', () => {
  const hosts = ['www.shop.example', 'api.shop.example', 'shop.example'];
  const frames = [
    ...hosts.flatMap((host, i) =>
      connection(
        10 * i,
        40_000 + i,
        101,
        Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}${i === 1 ? ':8080' : ''}\r\n\r\n`),
      ),
    ),
    ...connection(40, 40_003, 101, Buffer.from('GET / HTTP/1.1\r\nHost: 203.0.113.77:81\r\n\r\n')),
  ];
  const names = async (addresses: NonNullable<Parameters<typeof collect>[1]>['addresses']) => {
    const found = await records(frames, [], addresses === undefined ? {} : { addresses });
    return [...found]
      .sort((a, b) => Number(a.sourceTransportPort) - Number(b.sourceTransportPort))
      .map((record) => String(record.httpRequestHost));
  };

  test('cut to their domains and prefixes', async () => {
    expect(await names({ mode: 'truncate', ipv4Prefix: 24, ipv6Prefix: 48 })).toEqual([
      '*.shop.example',
      '*.shop.example:8080',
      'shop.example',
      '203.0.113.0:81',
    ]);
  });

  test('replaced by pseudonyms that keep who belongs to which domain', async () => {
    const [www, api, shop, address] = await names({ mode: 'pseudonym', key: new Uint8Array(16).fill(3) });
    expect(www!.endsWith(`.${shop}`)).toBe(true);
    expect(api!.endsWith(`.${shop}:8080`)).toBe(true);
    expect(shop).toMatch(/^[a-z2-7]{13}\.[a-z2-7]{13}$/);
    expect(address).toMatch(/^(?!203\.0\.113\.77)[\d.]+:81$/);
    expect(`${www}${api}${shop}`).not.toMatch(/shop|example/);
  });
});
