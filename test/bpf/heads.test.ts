import { describe, expect, test } from 'vitest';
import type { HeadWant } from '../../src/capture/payload-heads.js';
import { bpfSkipReason } from '../support/privileges.js';
import type { Head } from './head.js';
import { KernelMeter, UserMeter } from './meters.js';
import { packet, TCP } from './packet.js';

const skip = bpfSkipReason();
const client = packet().ether().ipv4();
const server = packet().ether().ipv4({ source: '10.0.0.2', destination: '10.0.0.1' });
const syn = client.tcp({ flags: TCP.SYN });
const request = (fill: number, octets = 100) => client.tcp().payload(octets, fill);
const answer = (fill: number) => server.tcp({ sport: 443, dport: 40000 }).payload(50, fill);
/** As far as it is looked at: a record of a handshake of TLS 1.0 or newer whose first message is a ClientHello. */
const HELLO = [22, 3, 1, 0, 200, 1, 0, 0];
const query = client.udp().payload(30, 0x51);

const TLS: HeadWant = {
  transport: 'tcp',
  port: 443,
  octets: 64,
  packets: 2,
  sides: ['toPort', 'fromPort'],
};

interface Row {
  readonly name: string;
  readonly wants: readonly HeadWant[];
  readonly frames: readonly Uint8Array[];
  readonly heads: readonly Partial<Head>[];
}

const ROWS: readonly Row[] = [
  {
    name: 'the first payloads of both directions, as long as they are wanted, with their place in the stream',
    wants: [TLS],
    frames: [syn, request(0x41), request(0x42), answer(0x61), request(0x43)].map((p) => p.bytes()),
    heads: [
      { direction: 0, number: 0, side: 1, payload: 100, sequence: 1, bytes: 'A'.repeat(64) },
      { direction: 0, number: 1, side: 1, payload: 100, bytes: 'B'.repeat(64) },
      { direction: 1, number: 0, side: 2, payload: 50, bytes: 'a'.repeat(50) },
    ],
  },
  {
    name: 'only the side that is wanted',
    wants: [{ ...TLS, sides: ['fromPort'] }],
    frames: [syn, request(0x41), answer(0x61)].map((p) => p.bytes()),
    heads: [{ direction: 1, side: 2 }],
  },
  {
    name: 'nothing of what stands in the middle of a connection whose beginning was not seen',
    wants: [TLS],
    frames: [request(0x41), answer(0x61), server.tcp({ sport: 443, dport: 40000 }).raw(HELLO)].map((p) =>
      p.bytes(),
    ),
    heads: [],
  },
  {
    name: 'a ClientHello that begins a segment there, and what follows it',
    wants: [{ ...TLS, packets: 4 }],
    frames: [
      request(0x41).bytes(),
      client.tcp({ sequence: 500 }).raw(HELLO).bytes(),
      client.tcp({ sequence: 508 }).payload(9, 0x42).bytes(),
      request(0x43).bytes(),
      request(0x44).bytes(),
    ],
    heads: [
      { number: 0, side: 1, opened: 0, sequence: 500 },
      { number: 2, side: 1, opened: 0, sequence: 508, bytes: 'B'.repeat(9) },
      { number: 3, opened: 0 },
    ],
  },
  {
    name: 'a request on any port there, whoever spoke first',
    wants: [{ transport: 'tcp', port: 0, octets: 64, packets: 3, sides: ['toPort'] }],
    frames: [
      server.tcp({ sport: 443, dport: 40000 }).payload(50, 0x61).bytes(),
      client
        .tcp()
        .raw([...Buffer.from('GET / HTTP/1.1')])
        .bytes(),
    ],
    heads: [{ direction: 0, number: 0, side: 1, opened: 0, bytes: 'GET / HTTP/1.1' }],
  },
  {
    name: 'nothing of services that nobody asked for',
    wants: [TLS],
    frames: [query.bytes(), query.bytes()],
    heads: [],
  },
  {
    name: 'any port: whoever speaks first is the client',
    wants: [{ transport: 'udp', port: 0, octets: 8, packets: 1, sides: ['toPort'] }],
    frames: [query.bytes(), server.udp({ sport: 53, dport: 40000 }).payload(20, 0x52).bytes()],
    heads: [{ direction: 0, side: 1, payload: 30, bytes: 'Q'.repeat(8) }],
  },
  {
    name: 'a head of a jumbo frame, of 2048 octets at most',
    wants: [{ ...TLS, octets: 2048 }],
    frames: [syn.bytes(), request(0x41, 8960).bytes()],
    heads: [{ payload: 8960, bytes: 'A'.repeat(2048) }],
  },
  {
    name: 'over IPv6',
    wants: [TLS],
    frames: [
      packet().ether().ipv6().tcp({ flags: TCP.SYN }).bytes(),
      packet().ether().ipv6().tcp().payload(10, 0x41).bytes(),
    ],
    heads: [{ number: 0, side: 1, sequence: 1, bytes: 'A'.repeat(10) }],
  },
];

describe('payload heads through the user-space build', () => {
  test.each(ROWS)('$name', ({ wants, frames, heads }) => {
    const meter = new UserMeter({ headWants: wants });
    frames.forEach((frame, i) => {
      meter.run(frame, 1000 + i);
    });
    expect(meter.heads()).toMatchObject(heads);
  });
});

describe.skipIf(skip !== undefined).each([{ hook: 'xdp' }, { hook: 'egress' }, { hook: 'ingress' }] as const)(
  `payload heads through the kernel, $hook${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  ({ hook }) => {
    // BPF_PROG_TEST_RUN makes no socket buffer longer than a page.
    const rows =
      hook !== 'xdp' ? ROWS.filter((row) => row.frames.every((frame) => frame.length < 3500)) : ROWS;
    test.each(rows)('$name', ({ wants, frames, heads }) => {
      const kernel = new KernelMeter({ headWants: wants, hook });
      const user = new UserMeter({ headWants: wants });
      frames.forEach((frame, i) => {
        kernel.run(frame);
        user.run(frame, 1000 + i);
      });
      const sent = kernel.heads();
      expect(sent).toMatchObject(heads);
      expect(sent).toEqual(user.heads());
      expect(kernel.counters()).toMatchObject({ heads_sent: heads.length, heads_lost: 0 });
    });
  },
);
