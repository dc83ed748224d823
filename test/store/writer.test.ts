import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { BatchWriter, Spool } from '../../src/store/index.js';
import { BLOCK_COLUMNS, encodeFlowBlock } from '../../src/store/native-block.js';
import { NativeBlock } from '../../src/store/native-reader.js';
import type { FrameClient } from '../../src/store/sender.js';
import { zstdDecompress } from '../../src/store/zstd.js';
import { links, logger, makeBatch } from './support.js';

interface Insert {
  readonly columns: readonly string[];
  readonly token: string;
  readonly blocks: readonly Uint8Array[];
  readonly packed: boolean;
}

const block = encodeFlowBlock(makeBatch(50), { gateway: 'g', links });
const FRAME = { table: 'flows', block, rows: 50, packets: 7, octets: 70 } as const;

describe('the writer', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-writer-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  /** ClickHouse: knows tokens, and takes nothing while it is away. */
  const stored = new Map<string, Insert>();
  let attempts: Insert[] = [];
  let away = false;
  const take = (insert: Insert): void => {
    attempts.push(insert);
    if (away) throw new Error('away');
    if (!stored.has(insert.token)) stored.set(insert.token, insert);
  };
  const client: FrameClient = {
    insertBlock: async (_table, columns, bytes, token) =>
      take({ columns, token, blocks: [bytes], packed: false }),
    insertFiles: async (_table, columns, { paths, packed }, token) => {
      const files = paths.map((path) => readFileSync(path));
      take({ columns, token, packed, blocks: packed ? await Promise.all(files.map(zstdDecompress)) : files });
    },
  };
  const rows = (): number =>
    [...stored.values()]
      .flatMap(({ blocks }) => blocks)
      .reduce((sum, bytes) => sum + new NativeBlock(bytes).rows, 0);
  let number = 0;
  let spool: Spool;
  const writerWith = (more: Partial<ConstructorParameters<typeof BatchWriter>[0]> = {}): BatchWriter =>
    new BatchWriter({ spool, client, gateway: 'g', spoolLimitBytes: 1e9, spoolAgeMs: 1e9, logger, ...more });
  beforeEach(() => {
    number += 1;
    spool = new Spool(join(directory, String(number)), false);
    stored.clear();
    attempts = [];
    away = false;
  });

  test('a damaged frame is set aside and counted, the frames around it are sent', async () => {
    away = true;
    const writer = writerWith();
    await writer.start();
    for (let i = 0; i < 3; i += 1) await writer.append(FRAME);
    const second = (await spool.list()).frames[1]!;
    writeFileSync(spool.blockPath(second), 'no frame');
    away = false;
    expect(await writer.drain(10_000)).toBe(true);
    await writer.stop();
    expect(rows()).toBe(100);
    expect(writer.counters()).toMatchObject({
      spooledPackets: 21,
      storedPackets: 14,
      spoolBytes: 0,
      lost: [{ stage: 'store', reason: 'spool_damaged', packets: 7, octets: 70 }],
    });
    expect(readFileSync(join(spool.quarantine, `${second.name}.native`), 'utf8')).toBe('no frame');
  });

  test('a spool that fills up gives up luxuries first, then the oldest frames, and counts both', async () => {
    away = true;
    const spoolLimitBytes = block.length * 6;
    const writer = writerWith({ spoolLimitBytes });
    await writer.start();
    for (let i = 0; i < 20; i += 1) await writer.append(FRAME);
    expect(writer.counters().spoolBytes).toBeLessThanOrEqual(spoolLimitBytes);
    away = false;
    expect(await writer.drain(20_000)).toBe(true);
    await writer.stop();
    const { storedPackets, lost, thinnedRecords, spoolBytes } = writer.counters();
    expect(spoolBytes).toBe(0);
    expect(lost.map((loss) => loss.reason)).toEqual(['spool_full']);
    expect(storedPackets + lost[0]!.packets).toBe(20 * 7);
    expect(rows() * 7).toBe(storedPackets * 50);
    expect(thinnedRecords).toBeGreaterThan(50 * 10);
    const widths = [...stored.values()].map(({ columns }) => columns.length);
    expect(widths.some((width) => width < BLOCK_COLUMNS.length && width > 50)).toBe(true);
  });

  test('while ClickHouse is away the backlog is compressed; what comes out is what went in', async () => {
    away = true;
    const writer = writerWith();
    await writer.start();
    await writer.append(FRAME);
    await vi.waitFor(() => expect(writer.counters().reachable).toBe(false), 5_000);
    // Two are what the senders try again and again.
    for (let i = 0; i < 11; i += 1) await writer.append(FRAME);
    await vi.waitFor(() => expect(writer.counters().packedFrames).toBeGreaterThan(0), 20_000);
    const { packedSavedBytes, spoolBytes } = writer.counters();
    expect(packedSavedBytes + spoolBytes).toBeGreaterThan(block.length * 12);
    expect(packedSavedBytes).toBeGreaterThan(block.length / 2);
    away = false;
    expect(await writer.drain(30_000)).toBe(true);
    await writer.stop();
    expect(writer.counters()).toMatchObject({ storedPackets: 84, spoolBytes: 0, lost: [] });
    const blocks = [...stored.values()].flatMap((insert) => insert.blocks);
    expect([...stored.values()].some((insert) => insert.packed)).toBe(true);
    expect(blocks).toHaveLength(12);
    for (const bytes of blocks) expect(Buffer.from(bytes).equals(block)).toBe(true);
    expect(readdirSync(spool.directory)).toEqual(['quarantine']);
  }, 60_000);

  test('frames beyond the age limit go, counted, whether they were tried or not', async () => {
    away = true;
    const first = writerWith();
    await first.start();
    for (let i = 0; i < 4; i += 1) await first.append(FRAME);
    await first.stop();
    const writer = writerWith({ spoolAgeMs: 200 });
    await writer.start();
    for (let i = 0; i < 3; i += 1) await writer.append(FRAME);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await writer.append(FRAME);
    away = false;
    expect(await writer.drain(20_000)).toBe(true);
    await writer.stop();
    const { storedPackets, lost } = writer.counters();
    expect(storedPackets + (lost[0]?.packets ?? 0)).toBe(28);
    expect(lost.map(({ reason }) => reason)).toEqual(['spool_age']);
    expect(rows() * 7).toBe(storedPackets * 50);
  });

  test('frames that were sent together are sent together again, octet for octet, also by the next process', async () => {
    away = true;
    const first = writerWith();
    await first.start();
    for (let i = 0; i < 30; i += 1) await first.append(FRAME);
    expect(await first.drain(700)).toBe(false);
    await first.stop();
    expect(first.counters()).toMatchObject({ storedPackets: 0, spoolFrames: 30 });
    expect(Math.max(...attempts.map(({ blocks }) => blocks.length))).toBeGreaterThan(10);
    const tried = new Map(attempts.map(({ token, blocks }) => [token, Buffer.concat(blocks)]));

    const second = writerWith();
    await second.start();
    away = false;
    expect(await second.drain(20_000)).toBe(true);
    await second.stop();
    expect(second.counters()).toMatchObject({
      recoveredRecords: 1500,
      spoolFrames: 0,
      spoolBytes: 0,
      lost: [],
    });
    for (const [token, bytes] of tried)
      expect(Buffer.concat(stored.get(token)!.blocks).equals(bytes), token).toBe(true);
    expect(rows()).toBe(1500);
    expect(readdirSync(spool.directory)).toEqual(['quarantine']);
  });

  test('what no process has sent yet travels together after a restart; what went alone goes alone', async () => {
    await spool.open();
    const header = { table: 'flows', columns: BLOCK_COLUMNS, rows: 50, packets: 7, octets: 70 };
    const files = [];
    for (let i = 0; i < 6; i += 1) files.push(await spool.write({ ...header, token: `t:${i}` }, block));
    await spool.markAlone(files[2]!);
    const writer = writerWith();
    await writer.start();
    expect(await writer.drain(10_000)).toBe(true);
    await writer.stop();
    expect(stored.has('t:2')).toBe(true);
    expect([...stored.values()].map(({ blocks }) => blocks.length).sort()).toEqual([1, 2, 3]);
  });

  test('with a backlog, what has just come is sent beside it', async () => {
    await spool.open();
    const header = { table: 'flows', columns: BLOCK_COLUMNS, rows: 100_000, packets: 7, octets: 70 };
    for (let i = 0; i < 12; i += 1) await spool.write({ ...header, token: `old:${i}` }, block);
    const order: string[] = [];
    const slow: FrameClient = {
      ...client,
      insertFiles: async (_table, _columns, { paths }) => {
        order.push(...paths.map((path) => readFileSync(path.replace(/native$/, 'alone'), 'utf8')));
        await new Promise((resolve) => setTimeout(resolve, 30));
      },
    };
    const writer = writerWith({ client: slow });
    await writer.start();
    await writer.append({ ...FRAME, rows: 100_000 });
    expect(await writer.drain(10_000)).toBe(true);
    await writer.stop();
    const at = order.findIndex((text) => text.includes('"token":"g:'));
    expect(at).toBeGreaterThanOrEqual(0);
    expect(at).toBeLessThan(8);
  });

  test('drain waits for a store that works, and not for one that is away', async () => {
    away = true;
    const writer = writerWith();
    await writer.start();
    await writer.append(FRAME);
    const begin = performance.now();
    expect(await writer.drain(60_000, 500)).toBe(false);
    expect(performance.now() - begin).toBeLessThan(30_000);
    away = false;
    expect(await writer.drain(30_000, 30_000)).toBe(true);
    await writer.stop();
  });
});
