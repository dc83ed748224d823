import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadBpfAddon } from '../../src/capture/bpf.js';
import { ApplicationReader, type ApplicationRecord } from '../../src/flow/application.js';
import { FlowBatch } from '../../src/flow/batch.js';
import { SLAB_HEADER, slabLayout } from '../../src/flow/columns.js';
import { clientHello, type Hello, ja4, tlsRecords } from './client-hello.js';

const DECODERS = ['tls', 'http', 'dns', 'dnsStream', 'quic'] as const;
type Decoder = (typeof DECODERS)[number];

const addon = loadBpfAddon() as unknown as {
  decodeApplication(decoder: Decoder, octets: Uint8Array): Buffer;
};

/** What a decoder makes of octets, through the reader that reads batches. */
function decode(decoder: Decoder, octets: Uint8Array): ApplicationRecord {
  const text = addon.decodeApplication(decoder, octets);
  const layout = slabLayout(1);
  const buffer = new SharedArrayBuffer(layout.byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.rows] = 1;
  header[SLAB_HEADER.capacity] = 1;
  new Uint8Array(buffer, layout.text).set([text.length & 0xff, text.length >> 8, ...text]);
  new Uint32Array(buffer, layout.textOffsets)[0] = 1;
  return new ApplicationReader(new FlowBatch(buffer)).record(0);
}

const http = (text: string): ApplicationRecord => decode('http', Buffer.from(text, 'latin1'));
const name = (...labels: string[]): Buffer =>
  Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ]);
const query = (question: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    question,
    Buffer.from([0, 1, 0, 1]),
  ]);

/** Chrome's, as FoxIO's JA4 specification writes it out. */
const CHROME: Hello = {
  ciphers: [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
    0x002f, 0x0035, 0x3a3a,
  ],
  extensions: [
    0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01,
    0x000b, 0x000a, 0x0015, 0x9a9a,
  ],
  serverName: 'www.google.com',
  protocols: ['h2', 'http/1.1'],
  algorithms: [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
  versions: [0x5a5a, 0x0304, 0x0303],
};

const hellos: fc.Arbitrary<Hello> = fc.record({
  version: fc.constantFrom(0x0300, 0x0301, 0x0302, 0x0303),
  ciphers: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 120 }),
  extensions: fc.uniqueArray(
    fc.oneof(fc.constantFrom(0, 13, 16, 43, 0x0a0a, 0xfafa), fc.integer({ min: 0, max: 0xffff })),
    { maxLength: 40 },
  ),
  serverName: fc.domain(),
  protocols: fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 }), {
    minLength: 1,
    maxLength: 4,
  }),
  algorithms: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 }),
  versions: fc.array(fc.constantFrom(0x0304, 0x0303, 0x0302, 0x3a3a, 0x7f1c), { maxLength: 5 }),
});

describe('TLS', () => {
  test("SNI, ALPN and JA4 of the specification's example", () => {
    expect(decode('tls', tlsRecords(clientHello(CHROME)))).toEqual({
      tlsServerName: 'www.google.com',
      tlsApplicationProtocols: 'h2,http/1.1',
      tlsJa4: 't13d1516h2_8daaf6152771_e5627efa2ab1',
    });
  });

  test('JA4 equals a second implementation for any ClientHello in any records', () => {
    fc.assert(
      fc.property(hellos, fc.integer({ min: 1, max: 700 }), (hello, octets) => {
        const found = decode('tls', tlsRecords(clientHello(hello), octets));
        expect(found.tlsJa4).toBe(ja4(hello));
        expect(found.tlsServerName).toBe(hello.extensions.includes(0) ? hello.serverName : undefined);
      }),
      { numRuns: 150 },
    );
  });

  test('what is cut off says what is there, and never a JA4', () => {
    const whole = tlsRecords(clientHello(CHROME));
    for (let length = 0; length < whole.length; length += 1) {
      const found = decode('tls', whole.subarray(0, length));
      expect(found.tlsJa4, `${length} octets`).toBeUndefined();
      expect(['www.google.com', undefined]).toContain(found.tlsServerName);
    }
  });

  test('a server, an alert and application data are nothing', () => {
    const server = clientHello(CHROME);
    server[0] = 2;
    expect(decode('tls', tlsRecords(server))).toEqual({});
    expect(decode('tls', Buffer.from([21, 3, 3, 0, 2, 2, 40]))).toEqual({});
    expect(decode('tls', Buffer.from([23, 3, 3, 0, 2, 2, 40]))).toEqual({});
  });
});

describe('HTTP/1', () => {
  test.each([
    ['GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n', 'GET', 'shop.example'],
    ['POST /a HTTP/1.0\nhOsT:\t10.0.0.1:8080 \n\n', 'POST', '10.0.0.1:8080'],
    ['CONNECT a.example:443 HTTP/1.1\r\n\r\n', 'CONNECT', 'a.example:443'],
    ['GET http://u:p@b.example/x HTTP/1.0\r\nAccept: x\r\n\r\n', 'GET', 'b.example'],
    ['GET / HTTP/1.0\r\n\r\n', 'GET', undefined],
    ['GET / HTTP/1.1\r\nUser-Agent: x\r\nHos', 'GET', undefined],
    ['GET / HTTP/1.1\r\nHost: a\x01b\r\n\r\n', 'GET', undefined],
  ])('%j', (text, httpRequestMethod, httpRequestHost) => {
    const found = http(text);
    expect(found.httpRequestMethod).toBe(httpRequestMethod);
    expect(found.httpRequestHost).toBe(httpRequestHost);
  });

  test.each([
    'HTTP/1.1 200 OK\r\n\r\n',
    'GET /',
    'NONSENSE / HTTP/1.1\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\n',
    '',
  ])('%j is none', (text) => {
    expect(http(text)).toEqual({});
  });
});

describe('DNS', () => {
  test('the first question, over UDP and over TCP', () => {
    const message = query(name('www', 'example', 'com'));
    expect(decode('dns', message)).toEqual({ dnsQName: 'www.example.com' });
    const stream = Buffer.concat([Buffer.from([0, message.length]), message]);
    expect(decode('dnsStream', stream)).toEqual({ dnsQName: 'www.example.com' });
    for (let length = 0; length < stream.length; length += 1)
      expect(decode('dnsStream', stream.subarray(0, length))).toEqual({});
  });

  test('the root, odd octets and dots in labels as master files write them', () => {
    expect(decode('dns', query(name()))).toEqual({ dnsQName: '.' });
    expect(decode('dns', query(name('a.b', 'c\x07')))).toEqual({ dnsQName: 'a\\.b.c\\007' });
  });

  test('a name with a pointer, one that is too long, and other protocols are none', () => {
    expect(decode('dns', query(Buffer.from([0xc0, 0x0c])))).toEqual({});
    expect(decode('dns', query(name(...Array<string>(5).fill('x'.repeat(63)))))).toEqual({});
    expect(decode('dns', Buffer.alloc(100))).toEqual({});
  });
});

describe('QUIC', () => {
  test('version and connection id lengths of any version (RFC 8999)', () => {
    const header = Buffer.concat([
      Buffer.from([0xc0, 0xfa, 0xce, 0xb0, 0x02, 8]),
      Buffer.alloc(8, 1),
      Buffer.from([3]),
      Buffer.alloc(1200),
    ]);
    expect(decode('quic', header)).toEqual({
      quicVersion: 0xfaceb002,
      quicDestinationConnectionIdLength: 8,
      quicSourceConnectionIdLength: 3,
    });
  });

  test('version negotiation, short headers and ids longer than version 1 allows are none', () => {
    expect(decode('quic', Buffer.from([0xc0, 0, 0, 0, 0, 0, 0]))).toEqual({});
    expect(decode('quic', Buffer.alloc(1200, 0x40))).toEqual({});
    expect(decode('quic', Buffer.from([0xc0, 0, 0, 0, 1, 21, ...Array<number>(40).fill(0)]))).toEqual({});
  });
});

test('no octets whatsoever disturb a decoder', () => {
  const seeds = [
    tlsRecords(clientHello(CHROME)),
    Buffer.from('GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n'),
    query(name('www', 'example', 'com')),
    Buffer.concat([
      Buffer.from([0xc3, 0, 0, 0, 1, 8]),
      Buffer.alloc(8, 1),
      Buffer.from([0, 0, 0x44, 0x80]),
      Buffer.alloc(1300, 5),
    ]),
  ];
  const changed = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat())
    .map(([seed, changes, cut]) => {
      const octets = Buffer.from(seed);
      for (const [at, value] of changes) octets[at % octets.length] = value;
      return octets.subarray(0, (cut % octets.length) + 1);
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), changed), (octets) => {
      for (const decoder of DECODERS) {
        for (const value of Object.values(decode(decoder, octets)))
          expect(String(value).length).toBeLessThanOrEqual(1024);
      }
    }),
    { numRuns: 400 },
  );
});
