import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LiveReadings, readingBetween } from '../../src/actuate/index.js';
import { linkEvent } from '../../src/actuate/link-watch.js';
import { type NetnsPair, netnsPair, netnsSkipReason } from '../support/netns.js';

const counts = fc.record({
  octets: fc.nat(),
  packets: fc.nat(),
  lost: fc.nat(),
  queueDrops: fc.nat(),
});

test('a reading between two counts is of the difference, and a counter that went back tells nothing', () => {
  fc.assert(
    fc.property(counts, counts, fc.double({ min: 0.1, max: 10, noNaN: true }), (before, more, seconds) => {
      const after = {
        octets: before.octets + more.octets,
        packets: before.packets + more.packets,
        lost: before.lost + more.lost,
        queueDrops: before.queueDrops + more.queueDrops,
      };
      const reading = readingBetween('a', before, after, seconds, 1e6);
      expect(reading.queueDrops).toBe(more.queueDrops);
      expect(reading.lossRatio! * (more.packets + more.lost)).toBeCloseTo(
        more.packets + more.lost > 0 ? more.lost : 0,
        3,
      );
      expect(reading.utilisation! * 1e6 * seconds).toBeCloseTo(more.octets * 8, 0);
      if (more.packets > 0) expect(readingBetween('a', after, before, seconds)).toEqual({ of: 'a' });
    }),
  );
});

test('what the kernel says of interfaces is understood', () => {
  const line = (flags: string, words = ''): string =>
    `${words}3: eth0@if2: <${flags}> mtu 1500 qdisc noqueue state UP group default`;
  expect(linkEvent(line('BROADCAST,UP,LOWER_UP'))).toEqual({ interfaceName: 'eth0', up: true });
  expect(linkEvent(line('NO-CARRIER,BROADCAST,UP'))).toEqual({ interfaceName: 'eth0', up: false });
  expect(linkEvent(line('BROADCAST'))).toEqual({ interfaceName: 'eth0', up: false });
  expect(linkEvent(line('BROADCAST,UP,LOWER_UP', 'Deleted '))).toEqual({ interfaceName: 'eth0', up: false });
  expect(linkEvent('192.0.2.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE')).toBeUndefined();
});

const skip = netnsSkipReason();
describe.skipIf(skip !== undefined)(`live readings${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
  let pair: NetnsPair;
  let server: Server;
  let status = 200;
  let readings: LiveReadings;
  let now = 0;

  beforeAll(async () => {
    pair = await netnsPair();
    // A queue of one packet in front of a slow wire: what does not fit is dropped, and counted.
    await pair.run(
      'left',
      'tc qdisc add dev left root handle 1: htb default 1\n' +
        'tc class add dev left parent 1: classid 1:1 htb rate 80kbit ceil 80kbit burst 2k cburst 2k quantum 1514\n' +
        'tc qdisc add dev left parent 1:1 pfifo limit 1\n',
    );
    server = createServer((_, response) => response.writeHead(status).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    readings = new LiveReadings({
      links: [
        { linkId: 'a', interfaceName: 'left', capacityBps: 1e6 },
        { linkId: 'gone', interfaceName: 'nothing' },
      ],
      netns: pair.leftPath,
      handshakeRttMs: async () => new Map([['a', 12]]),
      probes: [
        { name: 'answers', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` },
        { name: 'refuses', url: 'http://127.0.0.1:1/' },
      ],
      now: () => now,
    });
  });
  afterAll(async () => {
    await readings?.close();
    await new Promise((resolve) => server.close(resolve));
    await pair.remove();
  });

  test('drops, utilisation, round trips and probes are what was done to them', async () => {
    await readings.read();
    // 50 packets of 1,042 octets at once: two or so fit through, the rest finds the queue full.
    await pair.run('left', `ping -q -f -c 50 -s 1000 -W 1 ${pair.rightIPv4} > /dev/null || true`);
    now += 2000;
    const found = new Map((await readings.read()).map((reading) => [reading.of, reading]));
    expect(found.get('a')!.queueDrops).toBeGreaterThan(10);
    expect(found.get('a')!.utilisation).toBeGreaterThan(0);
    expect(found.get('a')!.rttMs).toBe(12);
    expect(found.get('gone')).toEqual({ of: 'gone' });
    expect(found.get('answers')!.probeOk).toBe(true);
    expect(found.get('refuses')).toEqual({ of: 'refuses', probeOk: false });
    status = 500;
    expect((await readings.read()).find((reading) => reading.of === 'answers')!.probeOk).toBe(false);
  });
});
