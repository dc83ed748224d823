import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ReplaySource } from '../../src/capture/replay.js';
import { type CaptureFrame, ipv4Frame, pcapFile, pcapngFile } from '../support/pcap.js';

const root = join(import.meta.dirname, '..', '..');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-replay-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const written = (name: string, bytes: Uint8Array): string => {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
};

interface Replayed {
  readonly status: number | null;
  readonly records: Record<string, unknown>[];
  readonly summary: {
    readonly packetsRead: number;
    readonly packetsParsed: number;
    readonly packetsInRecords: number;
    readonly notParsed: Record<string, number>;
    readonly damage: { readonly offset: number; readonly reason: string }[];
  };
}

function replay(...options: string[]): Replayed {
  const run = spawnSync('node', [join(root, 'dist', 'cli', 'main.js'), 'replay', ...options], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const lines = run.stderr.trim().split('\n');
  return {
    status: run.status,
    records: run.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>),
    summary: JSON.parse(lines.at(-1)!) as Replayed['summary'],
  };
}

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
/** A connection with a handshake, then a datagram and its answer. */
const conversation: CaptureFrame[] = [
  { flags: 0x02, payload: 0, back: false },
  { flags: 0x12, payload: 0, back: true },
  { flags: 0x10, payload: 0, back: false },
  { flags: 0x18, payload: 100, back: false },
  { flags: 0x18, payload: 1000, back: true },
].map(({ flags, payload, back }, i) => ({
  timeMs: START + i * 10,
  bytes: ipv4Frame({
    protocol: 6,
    source: back ? '192.0.2.1' : '198.51.100.7',
    destination: back ? '198.51.100.7' : '192.0.2.1',
    sourcePort: back ? 443 : 50000,
    destinationPort: back ? 50000 : 443,
    payload,
    flags,
  }),
}));

describe('replay of files that the test wrote', () => {
  const expected = {
    sourceIPv4Address: '198.51.100.7',
    destinationIPv4Address: '192.0.2.1',
    sourceTransportPort: 50000,
    destinationTransportPort: 443,
    protocolIdentifier: 6,
    packetDeltaCount: 3,
    reversePacketDeltaCount: 2,
    octetDeltaCount: 40 + 40 + 140,
    reverseOctetDeltaCount: 40 + 1040,
    biflowDirection: 1,
    firstPayloadSizes: [100, -1000, 0, 0, 0, 0, 0, 0],
    tcpFlagCounts: [0, 1, 0, 1, 2, 0, 0, 0],
    flowKind: 'ipv4',
  };

  test.each([
    ['pcap, little endian', pcapFile(conversation)],
    ['pcap, big endian', pcapFile(conversation, true)],
    ['pcap with nanoseconds', pcapFile(conversation, false, true)],
    ['pcapng', pcapngFile(conversation)],
  ])('%s: one biflow with everything in it', (name, bytes) => {
    const { status, records, summary } = replay(
      written(`${name.replace(/\W/g, '')}.pcap`, bytes),
      '--output',
      'json',
    );
    expect(status).toBe(0);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject(expected);
    // SYN to the ACK that completes the handshake: 20 ms, within a tick of 1.024 us on each side.
    expect(Math.abs(Number(records[0]!.tcpHandshakeRttMicroseconds) - 20_000)).toBeLessThan(3);
    const start = Number(BigInt(String(records[0]!.flowStartNanoseconds)) / 1_000_000n);
    expect(Math.abs(start - START)).toBeLessThanOrEqual(1);
    expect(summary).toMatchObject({
      packetsRead: 5,
      packetsParsed: 5,
      packetsInRecords: 5,
      notParsed: {},
      damage: [],
    });
  });

  test('a file that is cut off anywhere gives everything before the cut and says where it is', async () => {
    for (const whole of [pcapFile(conversation), pcapngFile(conversation)]) {
      const full = 5;
      const seen = new Set<number>();
      for (let length = 0; length < whole.length; length += 7) {
        const path = written('cut.pcap', whole.subarray(0, length));
        const source = new ReplaySource({
          files: [path],
          slabs: 2,
          slabRows: 16,
          cacheEntries: 64,
          maxFlows: 1024,
        });
        await source.start();
        await source.done;
        const { seenPackets, deliveredPackets } = source.counters();
        const [file] = source.files();
        expect(deliveredPackets).toBe(seenPackets);
        expect(seenPackets).toBeLessThanOrEqual(full);
        seen.add(seenPackets);
        // A cut between two packets cannot be told from an end; any other is damage at or before the cut.
        if (file!.damage !== '') expect(file!.damageOffset).toBeLessThanOrEqual(length);
        else expect(seenPackets).toBeLessThan(full);
        await source.stop();
      }
      expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
    }
  });

  test('damage is reported with its offset and exit code 1, and what came before it is used', () => {
    const whole = pcapFile(conversation);
    const damaged = Buffer.from(whole);
    // The third packet's captured length becomes impossible.
    const third = 24 + 2 * (16 + 54);
    damaged.writeUInt32LE(0xffffffff, third + 8);
    const { status, records, summary } = replay(written('damaged.pcap', damaged), '--output', 'json');
    expect(status).toBe(1);
    expect(records).toHaveLength(1);
    expect(summary.packetsRead).toBe(2);
    expect(summary.damage).toMatchObject([{ offset: third, reason: 'impossible packet length' }]);
  });

  test('a file that is missing or no capture is one line that says so', () => {
    for (const [path, reason] of [
      ['/nonexistent.pcap', /No such file/],
      [written('text.pcap', Buffer.from('not a capture at all, only words')), /neither pcap nor pcapng/],
    ] as const) {
      const { status, summary } = replay(path, '--output', 'none');
      expect(status).toBe(1);
      expect(summary.damage[0]!.reason).toMatch(reason);
    }
  });
});

const data = process.env.TIDEGATE_DATA ?? join(root, '..', 'shared', 'data');
const captures = join(data, 'captures', 'ndpi');
const noData = existsSync(captures) ? undefined : `no captures at ${captures}`;
const noTshark =
  spawnSync('tshark', ['--version']).error === undefined ? undefined : 'tshark is not installed';

describe.skipIf(noData !== undefined)(
  `replay of foreign captures${noData ? ` (skipped: ${noData})` : ''}`,
  () => {
    const files = noData ? [] : readdirSync(captures).map((name) => join(captures, name));

    test('every file replays, and every packet of it is in a record', () => {
      const { status, summary } = replay(...files, '--output', 'none');
      // Some are damaged on purpose.
      expect([0, 1]).toContain(status);
      expect(summary.packetsRead).toBeGreaterThan(50_000);
      expect(summary.packetsInRecords).toBe(summary.packetsRead);
    });

    test.skipIf(noTshark !== undefined)(
      `packets and octets of each conversation equal tshark's${noTshark ? ` (skipped: ${noTshark})` : ''}`,
      () => {
        // Fragments (tshark reassembles), tunnels (it looks inside) and VLANs of several layers are told differently.
        const plain = files
          .filter((file) => /(dns|http|ssh|ntp|quic|smtp|ftp|mqtt|tls|snmp|ssdp)/i.test(file))
          .slice(0, 14);
        const wrong: string[] = [];
        let compared = 0;
        for (const file of plain) {
          const ours = new Map<string, readonly [number, number]>();
          for (const r of replay(file, '--output', 'json').records) {
            const [a, b] = [
              r.sourceIPv4Address ?? r.sourceIPv6Address,
              r.destinationIPv4Address ?? r.destinationIPv6Address,
            ];
            if (
              a === undefined ||
              r.sourceTransportPort === undefined ||
              ![6, 17].includes(Number(r.protocolIdentifier))
            )
              continue;
            const ends = [`${a}:${r.sourceTransportPort}`, `${b}:${r.destinationTransportPort}`].sort();
            const key = `${r.protocolIdentifier} ${ends.join(' ')}`;
            const [packets, octets] = ours.get(key) ?? [0, 0];
            ours.set(key, [
              packets + Number(r.packetDeltaCount) + Number(r.reversePacketDeltaCount),
              octets + Number(r.octetDeltaCount) + Number(r.reverseOctetDeltaCount),
            ]);
          }
          const theirs = new Map<string, readonly [number, number]>();
          const fragmented = new Set<string>();
          const fields = [
            'ip.proto',
            'ipv6.nxt',
            'ip.src',
            'ipv6.src',
            'ip.dst',
            'ipv6.dst',
            'tcp.srcport',
            'udp.srcport',
            'tcp.dstport',
            'udp.dstport',
            'ip.len',
            'ipv6.plen',
            'ip.flags.mf',
            'ip.frag_offset',
            'frame.protocols',
          ];
          const out = execFileSync(
            'tshark',
            [
              '-r',
              file,
              '-n',
              '-T',
              'fields',
              '-o',
              'ip.defragment:FALSE',
              ...fields.flatMap((f) => ['-e', f]),
            ],
            {
              encoding: 'utf8',
              stdio: ['ignore', 'pipe', 'ignore'],
              maxBuffer: 2 ** 28,
            },
          );
          for (const line of out.split('\n').filter(Boolean)) {
            const [p4, p6, s4, s6, d4, d6, ts, us, td, ud, l4, l6, mf, offset, protocols] = line.split(
              '\t',
            ) as string[];
            const protocol = Number(p4 || p6);
            const [sport, dport] = [ts || us, td || ud];
            // We give later fragments to their first one's conversation; tshark here leaves them without ports.
            if (mf === '1' || mf === 'True' || Number(offset) > 0)
              fragmented.add([s4 || s6, d4 || d6].sort().join(' '));
            if (!sport || ![6, 17].includes(protocol) || line.includes(',')) continue;
            if (/icmp|gre|gtp|vxlan/.test(protocols ?? '')) continue;
            const octets = l4 ? Number(l4) : Number(l6) + 40;
            if (octets === 0) continue;
            const key = `${protocol} ${[`${s4 || s6}:${sport}`, `${d4 || d6}:${dport}`].sort().join(' ')}`;
            const [packets, sum] = theirs.get(key) ?? [0, 0];
            theirs.set(key, [packets + 1, sum + octets]);
          }
          for (const [key, [packets, octets]] of theirs) {
            const pair = key
              .split(' ')
              .slice(1)
              .map((end) => end.slice(0, end.lastIndexOf(':')))
              .sort()
              .join(' ');
            if (fragmented.has(pair)) continue;
            compared += 1;
            const mine = ours.get(key);
            if (mine?.[0] !== packets || mine[1] !== octets)
              wrong.push(`${file}: ${key}: ${mine} against ${packets},${octets}`);
          }
        }
        for (const line of wrong) process.stdout.write(`differs from tshark: ${line}\n`);
        expect(compared).toBeGreaterThan(50);
        expect(wrong).toEqual([]);
      },
      180_000,
    );
  },
);
