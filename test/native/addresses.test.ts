import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type AddressSettings, readAddressKey } from '../../src/capture/addresses.js';
import { ReplaySource } from '../../src/capture/replay.js';
import { Spool } from '../../src/store/index.js';
import { BLOCK_COLUMNS, encodeFlowBlock } from '../../src/store/native-block.js';
import { packet, TCP } from '../bpf/packet.js';
import { pcap } from './capture-file.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-addresses-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i * 11);
const ADDRESSES = ['203.0.113.77', '198.51.100.201', '203.0.113.78', '192.0.2.133'];
const PAIRS = ADDRESSES.flatMap((source, i) =>
  ADDRESSES.slice(i + 1).map((destination) => [source, destination] as const),
);

/** Source and destination of each record, and everything that was written to a spool. */
async function stored(
  addresses: AddressSettings,
  pairs: readonly (readonly [string, string])[] = PAIRS,
): Promise<{ rows: [string, string][]; spool: Buffer; ids: bigint[] }> {
  const file = join(directory, 'capture.pcap');
  const frames = pairs.map(([source, destination], i) => ({
    timeNs: 1_767_225_600_000_000_000n + BigInt(i) * 1_000_000n,
    bytes: packet()
      .ether()
      .ipv4({ source, destination })
      .tcp({ sport: 50_000 + i, dport: 443, flags: TCP.SYN })
      .bytes(),
  }));
  writeFileSync(file, pcap(frames));
  const spoolDirectory = mkdtempSync(join(directory, 'spool-'));
  const spool = new Spool(spoolDirectory, false);
  await spool.open();
  const source = new ReplaySource({ files: [file], slabs: 2, slabRows: 64, addresses });
  const rows: [string, string][] = [];
  const ids: bigint[] = [];
  const writes: Promise<unknown>[] = [];
  source.onBatch = (batch) => {
    const ports = batch.column('sourceTransportPort', 'u16');
    const words = (name: string, row: number): string =>
      [...batch.column(name, 'u8').subarray(row * 16 + 12, row * 16 + 16)].join('.');
    for (let row = 0; row < batch.rows; row += 1) {
      rows[ports[row]! - 50_000] = [words('sourceIPv6Address', row), words('destinationIPv6Address', row)];
      ids.push(batch.column('flowId', 'u64')[row]!);
    }
    const block = encodeFlowBlock(batch, { gateway: 'test', links: {} });
    const { packets, octets } = batch;
    const header = { table: 'flows', columns: BLOCK_COLUMNS, rows: batch.rows, packets, octets, token: 't' };
    writes.push(spool.write(header, block));
    batch.release();
  };
  await source.start();
  await source.done;
  await Promise.all(writes);
  await source.stop();
  const files = readdirSync(spoolDirectory, { withFileTypes: true }).filter((entry) => entry.isFile());
  return {
    rows,
    ids,
    spool: Buffer.concat(files.map(({ name }) => readFileSync(join(spoolDirectory, name)))),
  };
}

const octets = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
const sharedBits = (a: string, b: string): number => {
  const difference = (octets(a).readUInt32BE() ^ octets(b).readUInt32BE()) >>> 0;
  return Math.clz32(difference);
};

describe('addresses in what is stored', () => {
  test('plain: they are there', async () => {
    const { rows, spool } = await stored({ mode: 'plain' });
    expect(rows).toEqual(PAIRS.map((pair) => [...pair]));
    for (const address of ADDRESSES) expect(spool.includes(octets(address))).toBe(true);
  });

  test('truncated: the prefix and nothing of the host', async () => {
    const { rows, spool } = await stored({ mode: 'truncate', ipv4Prefix: 24, ipv6Prefix: 48 });
    expect(rows).toEqual(PAIRS.map((pair) => pair.map((address) => address.replace(/\d+$/, '0'))));
    for (const address of ADDRESSES) expect(spool.includes(octets(address))).toBe(false);
  });

  test('pseudonyms: no address anywhere, one to one, prefixes kept, others under another key', async () => {
    const { rows, spool, ids } = await stored({ mode: 'pseudonym', key: KEY });
    const of = new Map<string, string>();
    for (const [i, pair] of PAIRS.entries()) {
      for (const side of [0, 1] as const) {
        expect(of.get(pair[side]) ?? rows[i]![side]).toBe(rows[i]![side]);
        of.set(pair[side], rows[i]![side]);
      }
    }
    for (const address of ADDRESSES) expect(spool.includes(octets(address))).toBe(false);
    expect(new Set(of.values()).size).toBe(ADDRESSES.length);
    for (const [a, b] of PAIRS) expect(sharedBits(of.get(a)!, of.get(b)!)).toBe(sharedBits(a, b));
    const other = await stored({ mode: 'pseudonym', key: KEY.map((octet) => octet ^ 1) });
    expect(other.rows).not.toEqual(rows);
    const plain = await stored({ mode: 'plain' });
    expect(ids.filter((id) => plain.ids.includes(id))).toEqual([]);
  });

  test('property: pseudonyms share exactly the prefixes that the addresses share', async () => {
    const address = fc.ipV4().filter((text) => isIPv4(text) && text !== '0.0.0.0');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(address, address), { minLength: 1, maxLength: 12 }),
        async (pairs) => {
          const different = pairs.filter(([a, b]) => a !== b);
          fc.pre(different.length > 0);
          const { rows } = await stored({ mode: 'pseudonym', key: KEY }, different);
          for (const [i, [a, b]] of different.entries())
            expect(sharedBits(rows[i]![0], rows[i]![1])).toBe(sharedBits(a, b));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('a key file that is missing or too short is refused by name', () => {
    const short = join(directory, 'short.key');
    writeFileSync(short, 'abc');
    expect(() => readAddressKey(short)).toThrowError(/TG_CAPTURE_ADDRESS_KEY|only 3 octets/);
    expect(() => readAddressKey(join(directory, 'none.key'))).toThrowError(/ENOENT/);
    writeFileSync(short, Buffer.alloc(32, 7));
    expect(readAddressKey(short)).toHaveLength(16);
  });
});
