import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Spool } from '../../src/store/index.js';
import type { FrameHeader } from '../../src/store/spool.js';
import { zstdCompress, zstdDecompress } from '../../src/store/zstd.js';

const HEADER: FrameHeader = {
  table: 'flows',
  columns: ['a'],
  rows: 1,
  packets: 3,
  octets: 9,
  token: 'g:1:1',
};
const BLOCK = Uint8Array.from({ length: 60 }, (_, i) => i * 4);
const LONG = Uint8Array.from({ length: 300_000 }, (_, i) => i % 7);

describe('the spool', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-spool-'));
  const spool = new Spool(directory, true);
  beforeAll(() => spool.open());
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('gives a frame back as it was written', async () => {
    const file = await spool.write(HEADER, BLOCK);
    expect(file).toMatchObject({ header: HEADER, packed: false, alone: false });
    expect((await spool.list()).frames).toEqual([file]);
    expect(await spool.damage(file)).toBeUndefined();
    expect(readFileSync(spool.blockPath(file)).equals(BLOCK)).toBe(true);
    await spool.remove(file.name);
    expect((await spool.open()).frames).toEqual([]);
  });

  test('tells every cut and every changed octet of a frame, in its block and in its header', async () => {
    const file = await spool.write(HEADER, BLOCK);
    for (const path of [spool.blockPath(file), join(directory, `${file.name}.frame`)]) {
      const whole = readFileSync(path);
      for (let length = 0; length < whole.length; length += 1) {
        writeFileSync(path, whole.subarray(0, length));
        expect(await spool.damage(file), `${length} octets of ${path}`).toBeDefined();
      }
      for (let at = 0; at < whole.length; at += 1) {
        const changed = Buffer.from(whole);
        changed[at]! ^= 1 << (at % 8);
        writeFileSync(path, changed);
        expect(await spool.damage(file), `octet ${at} of ${path}`).toBeDefined();
      }
      writeFileSync(path, whole);
    }
    expect(await spool.damage(file)).toBeUndefined();
    await spool.remove(file.name);
    expect(await spool.damage(file)).toBeDefined();
  });

  test('a damaged header is found at the start, and set aside with its block', async () => {
    const [good, bad] = [await spool.write(HEADER, BLOCK), await spool.write(HEADER, BLOCK)];
    writeFileSync(join(directory, `${bad.name}.frame`), 'no header');
    const left = await spool.open();
    expect(left.frames.map(({ name }) => name)).toEqual([good.name]);
    expect(left.damaged).toEqual([bad.name]);
    await spool.setAside(bad.name, 'header');
    expect(readdirSync(spool.quarantine).sort()).toEqual(
      ['.frame', '.native', '.reason'].map((suffix) => bad.name + suffix),
    );
    await spool.remove(good.name);
  });

  test('a packed frame is smaller, holds the same block, and is read by the zstd of others', async () => {
    const plain = await spool.markAlone(await spool.write(HEADER, LONG));
    const packed = await spool.pack(plain);
    expect(packed).toMatchObject({ header: HEADER, packed: true, alone: true });
    expect(packed.bytes).toBeLessThan(plain.bytes / 10);
    expect(await spool.damage(packed)).toBeUndefined();
    expect(Buffer.from(await spool.block(packed)).equals(LONG)).toBe(true);
    const other = execFileSync('zstd', ['-dc', spool.blockPath(packed)], { maxBuffer: 1e7 });
    expect(crc32(other)).toBe(crc32(LONG));
    expect((await spool.open()).frames).toEqual([packed]);
    await spool.remove(packed.name);
  });

  test('a process that dies at any step of packing leaves one whole frame', async () => {
    const whole = await spool.write(HEADER, LONG);
    const [plainBlock, plainHeader] = [spool.blockPath(whole), join(directory, `${whole.name}.frame`)];
    const [keepBlock, keepHeader] = [join(directory, 'kept-block'), join(directory, 'kept-header')];
    copyFileSync(plainBlock, keepBlock);
    copyFileSync(plainHeader, keepHeader);
    // Before the new header: the packed block is there, the old header counts.
    const packed = await spool.pack(whole);
    copyFileSync(keepBlock, plainBlock);
    const packedHeader = readFileSync(plainHeader);
    copyFileSync(keepHeader, plainHeader);
    let left = await spool.open();
    expect(left.frames).toEqual([whole]);
    expect(await spool.damage(whole)).toBeUndefined();
    expect(readdirSync(directory)).not.toContain(`${whole.name}.native.zst`);
    // After it: the plain block is still there, the new header counts.
    await spool.pack(whole);
    copyFileSync(keepBlock, plainBlock);
    expect(readFileSync(plainHeader).equals(packedHeader)).toBe(true);
    left = await spool.open();
    expect(left.frames).toEqual([packed]);
    expect(await spool.damage(packed)).toBeUndefined();
    expect(readdirSync(directory)).not.toContain(`${whole.name}.native`);
    for (const path of [keepBlock, keepHeader]) rmSync(path);
    await spool.remove(whole.name);
  });

  test('zstd refuses what is not its own, and a size that cannot be true', async () => {
    const packed = await zstdCompress(LONG);
    await expect(zstdDecompress(packed.subarray(0, packed.length - 1))).rejects.toThrow();
    await expect(zstdDecompress(BLOCK)).rejects.toThrow(/not a zstd frame/);
    const huge = Buffer.from(packed);
    huge.fill(0xff, 5, 9);
    await expect(zstdDecompress(huge)).rejects.toThrow();
  });

  test('a group that was stored before the crash is not sent again', async () => {
    const own = new Spool(join(directory, 'done'), false);
    await own.open();
    const frames = [await own.write(HEADER, BLOCK), await own.write(HEADER, BLOCK)].map(({ name }) => name);
    const group = await own.groups.write({ token: 't', frames });
    expect((await own.open()).groups).toEqual([{ name: group, token: 't', frames }]);
    // What removeGroup does first; then the process is gone.
    renameSync(join(own.directory, group), join(own.directory, group.replace('.group', '.done')));
    expect(await own.open()).toEqual({ frames: [], groups: [], damaged: [] });
    expect(readdirSync(own.directory)).toEqual(['quarantine']);
  });

  test('a damaged group is set aside and stops nothing', async () => {
    const own = new Spool(join(directory, 'group'), false);
    await own.open();
    const frames = [(await own.write(HEADER, BLOCK)).name];
    const group = await own.groups.write({ token: 't', frames });
    writeFileSync(join(own.directory, group), '{"token"');
    const left = await own.open();
    expect([left.groups, left.frames.length]).toEqual([[], 1]);
    expect(readdirSync(own.quarantine)).toEqual([group]);
  });

  test('what a gateway of the first format left is read: alone under its own token, or with its group', async () => {
    const own = new Spool(join(directory, 'first'), false);
    await own.open();
    const first = (name: string, token: string): void => {
      const json = Buffer.from(JSON.stringify({ ...HEADER, token }), 'utf8');
      const prefix = Buffer.alloc(12);
      prefix.writeUInt32LE(0x54474631, 0);
      prefix.writeUInt32LE(json.length, 8);
      prefix.writeUInt32LE(crc32(BLOCK, crc32(json, crc32(prefix.subarray(8)))), 4);
      writeFileSync(join(own.directory, `${name}.frame`), Buffer.concat([prefix, json, BLOCK]));
    };
    const names = [1, 2, 3].map((i) => `${String(i).padStart(15, '0')}-1-000000001`);
    for (const [i, name] of names.entries()) first(name, `g:${i}`);
    writeFileSync(
      join(own.directory, `${names[1]}.group`),
      JSON.stringify({ token: 't', frames: names.slice(1).map((name) => `${name}.frame`) }),
    );
    for (let crash = 0; crash < 2; crash += 1) {
      const left = await own.open();
      expect(left.damaged).toEqual([]);
      expect(left.frames.map(({ name, alone, header }) => [name, alone, header.token])).toEqual(
        names.map((name, i) => [name, i === 0, `g:${i}`]),
      );
      expect(left.groups).toEqual([{ name: `${names[1]}.group`, token: 't', frames: names.slice(1) }]);
      for (const file of left.frames) expect(Buffer.from(await own.block(file)).equals(BLOCK)).toBe(true);
    }
    // One that a crash caught aside.
    first('000000000000009-1-000000001', 'g:9');
    renameSync(
      join(own.directory, '000000000000009-1-000000001.frame'),
      join(own.directory, '000000000000009-1-000000001.frame1'),
    );
    expect((await own.open()).frames.map(({ header }) => header.token)).toEqual(['g:0', 'g:1', 'g:2', 'g:9']);
  });
});
