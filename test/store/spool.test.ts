import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BatchWriter, Spool } from '../../src/store/index.js';
import { BLOCK_COLUMNS, encodeFlowBlock } from '../../src/store/native-block.js';
import type { FrameHeader } from '../../src/store/spool.js';
import { links, logger, makeBatch } from './support.js';

const HEADER: FrameHeader = {
  table: 'flows',
  columns: ['a'],
  rows: 1,
  packets: 3,
  octets: 9,
  token: 'g:1:1',
};
const BLOCK = Uint8Array.from({ length: 60 }, (_, i) => i * 4);

describe('the spool', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-spool-'));
  const spool = new Spool(directory, true);
  beforeAll(() => spool.open());
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('gives a frame back as it was written', async () => {
    const { name, bytes } = await spool.write(HEADER, BLOCK);
    expect(readFileSync(join(directory, name)).length).toBe(bytes);
    const frame = await spool.read(name);
    expect(frame).toMatchObject({ header: HEADER });
    expect('block' in frame && Buffer.from(frame.block).equals(BLOCK)).toBe(true);
    await spool.remove(name);
  });

  test('tells every cut and every changed octet of a frame', async () => {
    const { name } = await spool.write(HEADER, BLOCK);
    const path = join(directory, name);
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      expect(await spool.read(name), `${length} octets`).toHaveProperty('damage');
    }
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1 << (at % 8);
      writeFileSync(path, changed);
      expect(await spool.read(name), `octet ${at}`).toHaveProperty('damage');
    }
    await spool.remove(name);
    expect(await spool.read(name)).toHaveProperty('damage');
  });

  test('a damaged frame is set aside and counted, the frames around it are sent', async () => {
    const sent: string[] = [];
    let away = true;
    const writer = new BatchWriter({
      spool,
      gateway: 'g',
      spoolLimitBytes: 1e9,
      logger,
      client: {
        insertBlock: async (_table, _columns, _block, token) => {
          if (away) throw new Error('away');
          sent.push(token);
        },
      },
    });
    await writer.start();
    const block = encodeFlowBlock(makeBatch(1), { gateway: 'g', links });
    for (let i = 0; i < 3; i += 1)
      await writer.append({ table: 'flows', block, rows: 1, packets: 10, octets: 100 });
    const second = (await spool.open())[1]!;
    writeFileSync(join(directory, second.name), 'no frame');
    away = false;
    expect(await writer.drain(10_000)).toBe(true);
    await writer.stop();
    expect(sent.length).toBeGreaterThan(0);
    expect(writer.counters()).toMatchObject({
      spooledPackets: 30,
      storedPackets: 20,
      spoolBytes: 0,
      lost: [{ stage: 'store', reason: 'spool_damaged', packets: 10, octets: 100 }],
    });
    expect(readFileSync(join(spool.quarantine, second.name), 'utf8')).toBe('no frame');
  });

  test('a spool that fills up gives up luxuries first, then the oldest frames, and counts both', async () => {
    const block = encodeFlowBlock(makeBatch(50), { gateway: 'g', links });
    const tokens = new Set<string>();
    const widths = new Set<number>();
    let away = true;
    const writer = new BatchWriter({
      spool,
      gateway: 'g',
      spoolLimitBytes: block.length * 6,
      logger,
      client: {
        insertBlock: async (_table, columns, _bytes, token) => {
          if (away) throw new Error('away');
          expect(tokens.has(token)).toBe(false);
          tokens.add(token);
          widths.add(columns.length);
        },
      },
    });
    await writer.start();
    for (let i = 0; i < 20; i += 1)
      await writer.append({ table: 'flows', block, rows: 50, packets: 7, octets: 70 });
    const full = writer.counters();
    expect(full.spoolBytes).toBeLessThanOrEqual(block.length * 6);
    away = false;
    expect(await writer.drain(20_000)).toBe(true);
    await writer.stop();
    const { storedPackets, lost, thinnedRecords, spoolBytes } = writer.counters();
    expect(spoolBytes).toBe(0);
    expect(lost.map((loss) => loss.reason)).toEqual(['spool_full']);
    expect(storedPackets + lost[0]!.packets).toBe(20 * 7);
    expect(thinnedRecords).toBeGreaterThan(50 * 10);
    expect([...widths].some((width) => width < BLOCK_COLUMNS.length && width > 50)).toBe(true);
  });

  test('frames that were sent together are sent together again, octet for octet, also by the next process', async () => {
    const own = new Spool(join(directory, 'together'), false);
    const sent = new Map<string, Set<string>>();
    const attempts: number[] = [];
    let acknowledge = false;
    const options = {
      spool: own,
      gateway: 'g',
      spoolLimitBytes: 1e9,
      logger,
      client: {
        insertBlock: async (
          _table: string,
          _columns: readonly string[],
          bytes: Uint8Array,
          token: string,
        ) => {
          sent.set(token, (sent.get(token) ?? new Set()).add(Buffer.from(bytes).toString('base64')));
          attempts.push(bytes.length);
          if (!acknowledge) throw new Error('no answer');
        },
      },
    };
    const first = new BatchWriter(options);
    await first.start();
    const block = encodeFlowBlock(makeBatch(2), { gateway: 'g', links });
    for (let i = 0; i < 30; i += 1)
      await first.append({ table: 'flows', block, rows: 2, packets: 1, octets: 1 });
    expect(await first.drain(700)).toBe(false);
    await first.stop();
    expect(first.counters()).toMatchObject({ storedPackets: 0, spoolFrames: 30 });
    expect(Math.max(...attempts)).toBeGreaterThan(block.length * 10);

    const second = new BatchWriter(options);
    await second.start();
    acknowledge = true;
    expect(await second.drain(20_000)).toBe(true);
    await second.stop();
    expect(second.counters()).toMatchObject({
      recoveredRecords: 60,
      spoolFrames: 0,
      spoolBytes: 0,
      lost: [],
    });
    for (const [token, contents] of sent) expect(contents.size, token).toBe(1);
    expect(readdirSync(own.directory)).toEqual(['quarantine']);
  });

  test('a group that was stored before the crash is not sent again', async () => {
    const own = new Spool(join(directory, 'done'), false);
    await own.open();
    const frames = [await own.write(HEADER, BLOCK), await own.write(HEADER, BLOCK)].map(({ name }) => name);
    const group = await own.writeGroup({ token: 't', frames });
    expect(await own.groups()).toEqual([{ name: group, token: 't', frames }]);
    // What removeGroup does first; then the process is gone.
    renameSync(join(own.directory, group), join(own.directory, group.replace('.group', '.done')));
    expect(await own.open()).toEqual([]);
    expect(await own.groups()).toEqual([]);
  });
});
