import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReplaySource } from '../../src/capture/replay.js';
import { FLOW_COLUMNS } from '../../src/flow/columns.js';
import { RecordReader, type RecordValue } from '../../src/flow/record.js';
import { fieldsOf, IpfixExporter, ipfixConfig } from '../../src/ipfix/index.js';
import { type CaptureFrame, ipv4Frame, pcapFile } from '../support/pcap.js';

const logger = pino({ level: 'silent' });
const directory = mkdtempSync(join(tmpdir(), 'tidegate-ipfix-'));
const capture = join(directory, 'traffic.pcap');
const missing = (tool: string, debianPackage: string): string | undefined =>
  spawnSync(tool, ['-h']).error === undefined ? undefined : `needs ${tool} (Debian package ${debianPackage})`;
const noCollector = missing('nfcapd', 'nfdump') ?? missing('nfdump', 'nfdump');
const noTshark = missing('tshark', 'tshark');
const label = (reason: string | undefined): string => (reason === undefined ? '' : ` (skipped: ${reason})`);

/** The IPv4 frame's twin over IPv6: the same transport behind a header of 40 octets, addresses fd00::N by last octet. */
function ipv6Frame(options: Parameters<typeof ipv4Frame>[0]): Uint8Array {
  const v4 = ipv4Frame(options);
  const transport = v4.subarray(34);
  const bytes = Buffer.alloc(54 + transport.length);
  bytes.writeUInt16BE(0x86dd, 12);
  bytes[14] = 0x60;
  bytes.writeUInt16BE(transport.length, 18);
  bytes[20] = options.protocol;
  bytes[21] = 64;
  for (const [at, address] of [
    [22, options.source],
    [38, options.destination],
  ] as const) {
    bytes[at] = 0xfd;
    bytes[at + 15] = Number(address.split('.').at(-1));
  }
  bytes.set(transport, 54);
  return bytes;
}

/** Both directions of TCP and UDP over IPv4 and IPv6, ICMP-free, and a packet that is no IP. */
function traffic(): CaptureFrame[] {
  const frames: CaptureFrame[] = [];
  const at = 1_700_000_000_000;
  for (let flow = 0; flow < 60; flow += 1) {
    const protocol = flow % 2 === 0 ? (6 as const) : (17 as const);
    const make = flow % 3 === 0 ? ipv6Frame : ipv4Frame;
    const [near, far] = ['10.0.0.1', '192.0.2.7'] as const;
    const out = { source: near, destination: far, protocol, sourcePort: 30_000 + flow, destinationPort: 443 };
    const back = {
      source: far,
      destination: near,
      protocol,
      sourcePort: 443,
      destinationPort: 30_000 + flow,
    };
    for (let i = 0; i <= flow % 5; i += 1) {
      frames.push({ timeMs: at + flow * 10 + i, bytes: make({ ...out, payload: 100 + flow }) });
      if (i % 2 === 0)
        frames.push({ timeMs: at + flow * 10 + i + 1, bytes: make({ ...back, payload: 700 + i }) });
    }
  }
  const arp = new Uint8Array(60);
  arp.set([0x08, 0x06], 12);
  return [...frames, { timeMs: at + 900, bytes: arp }];
}

interface Totals {
  readonly records: number;
  readonly octets: number;
  readonly packets: number;
  readonly reverseOctets: number;
  readonly reversePackets: number;
}

const number = (value: RecordValue | undefined): number => Number(value ?? 0);

/** Meters the capture, hands each batch on, and adds up what its records say. */
async function meter(each: (batch: Parameters<IpfixExporter['export']>[0]) => Promise<void>) {
  const source = new ReplaySource({ files: [capture] });
  const records: ReturnType<RecordReader['record']>[] = [];
  let waiting = Promise.resolve();
  source.onBatch = (batch) => {
    const reader = new RecordReader(batch);
    for (let row = 0; row < reader.rows; row += 1) records.push(reader.record(row));
    waiting = waiting.then(() => each(batch)).finally(() => batch.release());
  };
  await source.start();
  await source.done;
  await waiting;
  await source.stop();
  return records;
}

const totalsOf = (records: Awaited<ReturnType<typeof meter>>): Totals => {
  const sum = (name: string): number => records.reduce((total, record) => total + number(record[name]), 0);
  return {
    records: records.length,
    octets: sum('octetDeltaCount'),
    packets: sum('packetDeltaCount'),
    reverseOctets: sum('reverseOctetDeltaCount'),
    reversePackets: sum('reversePacketDeltaCount'),
  };
};

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

describe('IPFIX', () => {
  beforeAll(() => writeFileSync(capture, pcapFile(traffic())));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('every column of a flow record has an element, and no element two meanings', () => {
    const left = ['payloadHead', 'reversePayloadHead'];
    for (const template of ['ipv4', 'ipv6'] as const) {
      const fields = fieldsOf(template, 32_473);
      expect(
        FLOW_COLUMNS.map((c) => c.name).filter((name) => !fields.some((f) => f.column.name === name)),
      ).toEqual(left);
      expect(new Set(fields.map((f) => `${f.enterprise}/${f.elementId}`)).size).toBe(fields.length);
    }
  });

  describe.skipIf(noCollector !== undefined)(`nfcapd and nfdump read it back${label(noCollector)}`, () => {
    test('with the same number of records, packets and octets in each direction', async () => {
      const flows = join(directory, 'flows');
      const port = await freeUdpPort();
      execFileSync('mkdir', ['-p', flows]);
      const collector = spawn(
        'nfcapd',
        ['-p', String(port), '-b', '127.0.0.1', '-w', flows, '-t', '3600', '-B', '4000000'],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      await sleep(1500);
      const exporter = new IpfixExporter(
        { ...ipfixConfig.parse({}), collector: `127.0.0.1:${port}` },
        logger,
      );
      await exporter.start();
      const records = await meter((batch) => exporter.export(batch));
      await exporter.stop();
      expect(exporter.counters()).toMatchObject({ records: records.length, lostRecords: 0 });
      await sleep(1000);
      const ended = new Promise((resolve) => collector.once('exit', resolve));
      collector.kill('SIGTERM');
      await ended;
      const text = execFileSync('nfdump', ['-R', flows, '-q', '-o', 'json'], { encoding: 'utf8' });
      const read = [...text.matchAll(/\{[^}]*\}/g)].map(
        ([record]) => JSON.parse(record) as Record<string, number | string>,
      );
      const sum = (name: string): number =>
        read.reduce((total, record) => total + Number(record[name] ?? 0), 0);
      expect({
        records: read.length,
        octets: sum('in_bytes'),
        packets: sum('in_packets'),
        reverseOctets: sum('out_bytes'),
        reversePackets: sum('out_packets'),
      }).toEqual(totalsOf(records));
    });
  });

  describe.skipIf(noTshark !== undefined)(`tshark decodes a file of it${label(noTshark)}`, () => {
    test('element by element', async () => {
      const file = join(directory, 'records.ipfix');
      const cli = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');
      const run = spawnSync('node', [cli, 'replay', '--output', 'ipfix', capture], { maxBuffer: 2 ** 28 });
      expect(run.status, run.stderr.toString()).toBe(0);
      writeFileSync(file, run.stdout);
      const fields = ['cflow.octets', 'cflow.packets', 'cflow.srcport', 'cflow.protocol'];
      const text = execFileSync(
        'tshark',
        ['-r', file, '-T', 'fields', ...fields.flatMap((f) => ['-e', f]), '-E', 'occurrence=a'],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      );
      const columns = text.split('\n').map((line) => line.split('\t'));
      const all = (i: number): number[] =>
        columns.flatMap((line) => (line[i] ?? '').split(',').filter(Boolean).map(Number));
      const records = await meter(async () => {});
      const totals = totalsOf(records);
      const add = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);
      // tshark names the reverse elements like the forward ones.
      expect(add(all(0))).toBe(totals.octets + totals.reverseOctets);
      expect(add(all(1))).toBe(totals.packets + totals.reversePackets);
      expect(all(3).filter((protocol) => protocol === 6).length).toBe(
        records.filter((r) => r.protocolIdentifier === 6).length,
      );
      const malformed = execFileSync('tshark', ['-r', file, '-Y', '_ws.malformed'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      expect(malformed).toBe('');
    });
  });

  describe.skipIf(noTshark !== undefined)(`names of applications${label(noTshark)}`, () => {
    test('are in the records of the flows that have them, and tshark reads them back', async () => {
      const request = Buffer.from('GET /path HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
      const named = join(directory, 'named.pcap');
      const file = join(directory, 'named.ipfix');
      const frames = [0, 1, 2].map((flow) => {
        const bytes = ipv4Frame({
          source: '10.0.0.1', destination: '192.0.2.7', protocol: 6, sourcePort: 40_000 + flow,
          destinationPort: 80, payload: request.length,
        }); // biome-ignore format: one frame
        if (flow > 0) bytes.set(request, 54);
        return { timeMs: 1_700_000_000_000 + flow, bytes };
      });
      writeFileSync(named, pcapFile(frames));
      const cli = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');
      const run = spawnSync('node', [cli, 'replay', '--output', 'ipfix', named], { maxBuffer: 2 ** 28 });
      expect(run.status, run.stderr.toString()).toBe(0);
      writeFileSync(file, run.stdout);
      // By itself tshark takes a template of at most 60 fields.
      const text = execFileSync('tshark', ['-o', 'cflow.max_template_fields:100', '-r', file, '-V'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      expect(text.match(/HTTP Request Host: www\.example\.com/g)).toHaveLength(2);
      expect(text.match(/HTTP Request Method: GET/g)).toHaveLength(2);
      expect(text).not.toMatch(/Malformed/);
      // Every record has its ports, those with names and the one without.
      expect(text.match(/SrcPort: 4000\d/g)).toHaveLength(3);
    });
  });

  test('over TCP templates come once, and a collector that is away is said', async () => {
    const received: Buffer[] = [];
    const listen = (port: number): Promise<Server> =>
      new Promise((resolve) => {
        const server = createServer((socket) => {
          socket.on('data', (chunk) => received.push(chunk));
          socket.on('error', () => {});
        });
        server.listen(port, '127.0.0.1', () => resolve(server));
      });
    const server = await listen(0);
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const exporter = new IpfixExporter(
      { ...ipfixConfig.parse({ transport: 'tcp' }), collector: `127.0.0.1:${port}` },
      logger,
    );
    await exporter.start();
    const records = await meter((batch) => exporter.export(batch));
    await exporter.stop();
    await sleep(100);
    server.close();
    const bytes = Buffer.concat(received);
    let [at, data, templates] = [0, 0, 0];
    while (at < bytes.length) {
      expect(bytes.readUInt16BE(at)).toBe(10);
      if (bytes.readUInt16BE(at + 16) === 2) templates += 1;
      if (bytes.readUInt16BE(at + 16) >= 256) data += 1;
      at += bytes.readUInt16BE(at + 2);
    }
    expect(at).toBe(bytes.length);
    expect(templates).toBe(1);
    expect(data).toBeGreaterThan(1);
    expect(exporter.counters().records).toBe(records.length);
    await expect(
      new IpfixExporter(
        { ...ipfixConfig.parse({ transport: 'tcp' }), collector: `127.0.0.1:${port}` },
        logger,
      ).start(),
    ).rejects.toThrow(/does not answer/);
  });
});
