import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { messageOf } from '../base/errors.js';
import { storeError } from './errors.js';
import { checksum, checksumOfFile, replaceFile, syncDirectory, writeWhole } from './spool-files.js';
import { firstFormat, restoreFirstFormat } from './spool-first-format.js';
import { type FrameGroup, SpoolGroups } from './spool-groups.js';
import { zstdCompress, zstdDecompress } from './zstd.js';

/** What a frame says of itself. */
export interface FrameHeader {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: number;
  readonly packets: number;
  readonly octets: number;
  /** Never used for other rows. */
  readonly token: string;
  /** Of the batch, the same when a later process hands it over again. */
  readonly id?: string;
}

/** A header as it lies in the spool. */
interface StoredHeader extends FrameHeader {
  /** Of the block's file as it lies there, packed or not. */
  readonly blockBytes: number;
  readonly blockCrc: number;
  readonly packed: boolean;
}

/** A frame in the spool, without its block. */
export interface FrameFile {
  /** Without suffix. */
  readonly name: string;
  readonly header: FrameHeader;
  /** On disk. */
  readonly bytes: number;
  /** Whether the block's file is compressed. */
  readonly packed: boolean;
  /** Unix time, ms. */
  readonly writtenMs: number;
  /** Whether it may have been sent already, alone, under its own token. */
  readonly alone: boolean;
}

/** What an earlier process left. */
export interface LeftOver {
  /** Oldest first; those of the groups included. */
  readonly frames: readonly FrameFile[];
  readonly groups: readonly (FrameGroup & { readonly name: string })[];
  /** Names of frames whose header cannot be read any more. */
  readonly damaged: readonly string[];
}

const FRAME = '.frame';
const ALONE = '.alone';
const BLOCK = '.native';
const PACKED = '.native.zst';
const HEADER = /^TGF2 ([0-9a-f]{8})\n(\{.*\})\n$/;

const headerText = (header: StoredHeader): Buffer => {
  const json = JSON.stringify(header);
  return Buffer.from(`TGF2 ${crc32(json).toString(16).padStart(8, '0')}\n${json}\n`, 'utf8');
};

/**
 * A directory of frames, two files each: the Native block as ClickHouse reads it, and a header with the checksums of
 * both. A frame exists from the moment its header appears under its final name, so a reader never meets half a frame
 * that was being written; one that was damaged later is told by its CRC and set aside.
 */
export class Spool {
  readonly directory: string;
  readonly groups: SpoolGroups;
  readonly #fsync: boolean;
  #sequence = 0;

  constructor(directory: string, fsync: boolean) {
    this.directory = directory;
    this.groups = new SpoolGroups(directory, fsync);
    this.#fsync = fsync;
  }

  get quarantine(): string {
    return join(this.directory, 'quarantine');
  }

  /** The block's file, as ClickHouse reads it: Native, or Native in zstd. */
  blockPath(file: Pick<FrameFile, 'name' | 'packed'>): string {
    return this.#path(file.name, file.packed ? PACKED : BLOCK);
  }

  /** Makes the directory, finishes what a crash cut off, and finds what is left. */
  async open(): Promise<LeftOver> {
    await mkdir(this.quarantine, { recursive: true, mode: 0o700 });
    await restoreFirstFormat(this.directory);
    for await (const { name, header, block, grouped } of firstFormat(this.directory)) {
      await this.#put(name, header as unknown as FrameHeader, block, grouped ? FRAME : ALONE);
    }
    for await (const frames of this.groups.removals()) {
      for (const name of frames) await this.remove(name);
    }
    const found = await this.list();
    const groups = await this.groups.all();
    const wanted = new Set(found.frames.map((file) => this.blockPath(file)));
    for (const name of await readdir(this.directory)) {
      const path = join(this.directory, name);
      const unfinished =
        name.endsWith('.new') || ((name.endsWith(BLOCK) || name.endsWith(PACKED)) && !wanted.has(path));
      // The block of a damaged header is set aside with it.
      if (unfinished && !found.damaged.some((frame) => name.startsWith(`${frame}.`)))
        await rm(path, { force: true });
    }
    return { ...found, groups };
  }

  /** The frames that are there now, oldest first. */
  async list(): Promise<Pick<LeftOver, 'frames' | 'damaged'>> {
    const frames: FrameFile[] = [];
    const damaged: string[] = [];
    const names = await readdir(this.directory);
    for (const entry of names.filter((name) => name.endsWith(FRAME) || name.endsWith(ALONE)).sort()) {
      const name = entry.slice(0, entry.lastIndexOf('.'));
      const stored = await this.#header(join(this.directory, entry));
      if (stored === undefined) damaged.push(name);
      else frames.push(this.#file(name, stored, entry.endsWith(ALONE)));
    }
    return { frames, damaged };
  }

  /** Writes a frame; when it resolves the frame survives the process (with `fsync` also the host). */
  async write(header: FrameHeader, block: Uint8Array): Promise<FrameFile> {
    this.#sequence += 1;
    // Time first, so that frames of successive processes sort in the order in which they were written.
    const name = `${String(Date.now()).padStart(15, '0')}-${process.pid}-${String(this.#sequence).padStart(9, '0')}`;
    return this.#file(name, await this.#put(name, header, block, FRAME), false);
  }

  async #put(
    name: string,
    header: FrameHeader,
    block: Uint8Array,
    suffix: typeof FRAME | typeof ALONE,
  ): Promise<StoredHeader> {
    const stored: StoredHeader = {
      ...header,
      blockBytes: block.length,
      blockCrc: await checksum(block, turn),
      packed: false,
    };
    try {
      await writeWhole(this.#path(name, BLOCK), block, this.#fsync);
      await replaceFile(this.#path(name, suffix), headerText(stored), this.#fsync);
      if (this.#fsync) await syncDirectory(this.directory);
    } catch (error) {
      await rm(this.#path(name, BLOCK), { force: true });
      throw storeError(
        'TG_STORE_SPOOL_WRITE',
        { directory: this.directory, reason: messageOf(error) },
        error,
      );
    }
    return stored;
  }

  /** The reason why a frame is no longer what was written; `undefined` when it is. */
  async damage(file: FrameFile): Promise<string | undefined> {
    const stored = await this.#header(this.#path(file.name, file.alone ? ALONE : FRAME));
    if (stored === undefined) return 'the header is gone or damaged';
    try {
      const { crc, bytes } = await checksumOfFile(this.blockPath(file));
      if (bytes !== stored.blockBytes) return `the block has ${bytes} octets, not ${stored.blockBytes}`;
      return crc === stored.blockCrc ? undefined : 'the checksum of the block does not match';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'the block is gone';
      throw error;
    }
  }

  /** The block of a frame, unpacked. */
  async block(file: FrameFile): Promise<Uint8Array> {
    const bytes = await readFile(this.blockPath(file));
    return file.packed ? zstdDecompress(bytes) : bytes;
  }

  /**
   * Compresses a frame's block. At every moment the header names a block that is whole. A damaged one stays as it is,
   * for the reader to find.
   */
  async pack(file: FrameFile): Promise<FrameFile> {
    if (file.packed || (await this.damage(file)) !== undefined) return file;
    const plain = this.blockPath(file);
    const packed = await zstdCompress(await readFile(plain));
    const target = this.blockPath({ ...file, packed: true });
    const stored: StoredHeader = {
      ...file.header,
      blockBytes: packed.length,
      blockCrc: await checksum(packed, turn),
      packed: true,
    };
    try {
      await writeWhole(target, packed, this.#fsync);
      await replaceFile(this.#path(file.name, file.alone ? ALONE : FRAME), headerText(stored), this.#fsync);
    } catch (error) {
      await rm(target, { force: true });
      throw error;
    }
    await rm(plain, { force: true });
    return this.#file(file.name, stored, file.alone);
  }

  /** Writes down that a frame is about to be sent under its own token. Needs no space on disk. */
  async markAlone(file: FrameFile): Promise<FrameFile> {
    if (file.alone) return file;
    await rename(this.#path(file.name, FRAME), this.#path(file.name, ALONE));
    if (this.#fsync) await syncDirectory(this.directory);
    return { ...file, alone: true };
  }

  /** Removes a frame; its header first, because a block without one is nothing. */
  async remove(name: string): Promise<void> {
    for (const suffix of [FRAME, ALONE, BLOCK, PACKED]) await rm(this.#path(name, suffix), { force: true });
  }

  /** Removes a group that is stored, frames and all; one step, however a crash cuts it. */
  async removeGroup(group: string, frames: readonly string[]): Promise<void> {
    const done = await this.groups.beginRemoval(group);
    for (const name of frames) await this.remove(name);
    await this.groups.endRemoval(done);
  }

  /** Sets a frame aside, with the reason beside it, for a person to look at. */
  async setAside(name: string, reason: string): Promise<void> {
    await writeFile(join(this.quarantine, `${name}.reason`), `${reason}\n`, { mode: 0o600 });
    for (const suffix of [BLOCK, PACKED, FRAME, ALONE]) {
      try {
        await rename(this.#path(name, suffix), join(this.quarantine, `${name}${suffix}`));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  /** Sets part of a frame aside as a Native block that a person can look at and insert by hand. */
  async setRowsAside(name: string, block: Uint8Array, reason: string): Promise<void> {
    await writeFile(join(this.quarantine, `${name}.native`), block, { mode: 0o600 });
    await writeFile(join(this.quarantine, `${name}.reason`), `${reason}\n`, { mode: 0o600 });
  }

  #path(name: string, suffix: string): string {
    return join(this.directory, `${name}${suffix}`);
  }

  #file(name: string, stored: StoredHeader, alone: boolean): FrameFile {
    const { blockBytes, blockCrc: _, packed, ...header } = stored;
    const bytes = blockBytes + headerText(stored).length;
    return { name, header, bytes, packed, alone, writtenMs: Number(name.slice(0, 15)) };
  }

  async #header(path: string): Promise<StoredHeader | undefined> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const [, crc, json] = HEADER.exec(text) ?? [];
    if (json === undefined || Number.parseInt(crc!, 16) !== crc32(json)) return undefined;
    return JSON.parse(json) as StoredHeader;
  }
}
