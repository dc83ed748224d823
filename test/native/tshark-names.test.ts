import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ALL_DECODERS } from '../../src/capture/applications.js';
import { ReplaySource } from '../../src/capture/replay.js';
import type { ApplicationFieldName } from '../../src/flow/application.js';
import { type FlowRecord, RecordReader } from '../../src/flow/record.js';

const data = process.env.TIDEGATE_DATA ?? join(import.meta.dirname, '../../../shared/data');
const captures = join(data, 'captures/ndpi');
/** What nDPI's makers collected of these protocols, in ordinary and in odd forms. */
const FILES = [
  'dns.pcap',
  'dns_long_domainname.pcap',
  'dns_invert_query.pcapng',
  'malformed_dns.pcap',
  'http_auth.pcap',
  'http_connect.pcap',
  'http_ipv6.pcap',
  'http_on_sip_port.pcap',
  'http_ua_splitted_in_two_pkts.pcapng',
  'tls_2_reasms.pcapng',
  'tls_2_reasms_b.pcapng',
  'tls_cipher_lens.pcap',
  'tls_1.3_unidirectional_client.pcapng',
  'quic-v2.pcapng',
  'quic_crypto_aes_auth_size.pcap',
  'quic_frags_ch_in_multiple_packets.pcapng',
  'instagram.pcap',
].filter((name) => existsSync(join(captures, name)));

const missing = !existsSync(captures)
  ? `no captures in ${captures}`
  : spawnSync('tshark', ['-h']).error !== undefined
    ? 'needs tshark (Debian package tshark)'
    : undefined;

const FIELDS = {
  tlsServerName: 'tls.handshake.extensions_server_name',
  tlsApplicationProtocols: 'tls.handshake.extensions_alpn_str',
  httpRequestMethod: 'http.request.method',
  httpRequestHost: 'http.host',
  dnsQName: 'dns.qry.name',
  quicVersion: 'quic.version',
} as const satisfies Partial<Record<ApplicationFieldName, string>>;
const NAMES = Object.keys(FIELDS) as (keyof typeof FIELDS)[];
const PLACES = [
  'ip.src',
  'ipv6.src',
  'ip.dst',
  'ipv6.dst',
  'tcp.srcport',
  'udp.srcport',
  'tcp.dstport',
  'udp.dstport',
];

type Values = Map<string, Set<string>>;
const keyOf = (one: string, another: string): string => [one, another].sort().join(' ');

/** Everything that tshark finds in the packets of each flow, by addresses, ports and field. */
function byTshark(file: string): Values {
  const found: Values = new Map();
  const fields = [...PLACES, ...Object.values(FIELDS)];
  const text = execFileSync(
    'tshark',
    [
      '-n',
      '-d',
      // By port it would be SIP.
      'tcp.port==5060,http',
      '-r',
      join(captures, file),
      '-T',
      'fields',
      '-E',
      'separator=/t',
      '-E',
      'aggregator=|',
      ...fields.flatMap((f) => ['-e', f]),
    ],
    { encoding: 'latin1', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 2 ** 28 },
  );
  for (const line of text.split('\n')) {
    const cells = line.split('\t');
    if (cells.length < fields.length || cells.slice(PLACES.length).every((cell) => cell === '')) continue;
    // Inside of tunnels and ICMP errors there are more addresses: the first are the flow's.
    const first = (i: number): string => (cells[i]! || cells[i + 1]!).split('|')[0]!;
    const flow = keyOf(`${first(0)}/${first(4)}`, `${first(2)}/${first(6)}`);
    NAMES.forEach((name, i) => {
      const cell = cells[PLACES.length + i]!;
      if (cell === '') return;
      const values = name === 'tlsApplicationProtocols' ? [cell.replaceAll('|', ',')] : cell.split('|');
      const known = found.get(`${flow} ${name}`) ?? new Set<string>();
      for (const value of values)
        known.add(name === 'quicVersion' ? String(Number(value)) : value === '<Root>' ? '.' : value);
      found.set(`${flow} ${name}`, known);
    });
  }
  return found;
}

async function byTidegate(file: string): Promise<Map<string, string>> {
  const source = new ReplaySource({
    files: [join(captures, file)],
    applications: { decoders: ALL_DECODERS, headerRules: [] },
  });
  const found = new Map<string, string>();
  const read = (record: FlowRecord): void => {
    const address = (side: string): string =>
      String(record[`${side}IPv4Address`] ?? record[`${side}IPv6Address`]);
    const end = (side: string): string => `${address(side)}/${String(record[`${side}TransportPort`] ?? '')}`;
    for (const name of NAMES)
      if (record[name] !== undefined)
        found.set(`${keyOf(end('source'), end('destination'))} ${name}`, String(record[name]));
  };
  source.onBatch = (batch) => {
    const reader = new RecordReader(batch);
    for (let row = 0; row < reader.rows; row += 1) read(reader.record(row));
    batch.release();
  };
  await source.start();
  await source.done;
  await source.stop();
  return found;
}

test.skipIf(missing !== undefined)(
  `every name is one that tshark finds in the same flow${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    const wrong: string[] = [];
    const absent: string[] = [];
    let agreed = 0;
    for (const file of FILES) {
      const ours = await byTidegate(file);
      const theirs = byTshark(file);
      for (const [place, value] of ours) {
        if (theirs.get(place)?.has(value)) agreed += 1;
        else
          wrong.push(
            `${file} ${place}: ${value}, tshark ${[...(theirs.get(place) ?? [])].join(' | ') || 'nothing'}`,
          );
      }
      for (const [place, values] of theirs)
        if (!ours.has(place)) absent.push(`${file} ${place}: nothing, tshark ${[...values].join(' | ')}`);
    }
    const summary = `names: ${agreed} agree, ${wrong.length} differ, ${absent.length} only tshark has`;
    process.stderr.write(`${[summary, ...wrong, ...absent].join('\n')}\n`);
    expect(agreed).toBeGreaterThan(50);
    expect(wrong).toEqual([]);
    expect(absent.length).toBeLessThan(agreed / 2);
  },
  120_000,
);
