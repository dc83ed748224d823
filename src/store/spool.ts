import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { messageOf } from '../base/errors.js';
import { storeError } from './errors.js';

/** What a frame says of itself. */
export interface FrameHeader {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: number;
  readonly packets: number;
  readonly octets: number;
  /** Never used for other bytes. */
  readonly token: string;
}

export interface Frame {
  readonly header: FrameHeader;
  readonly block: Uint8Array;
}

export interface FrameFile {
  readonly name: string;
  readonly bytes: number;
}

/** Frames that are sent as one, and the token that they share. Written before the first attempt. */
export interface FrameGroup {
  readonly token: string;
  readonly frames: readonly string[];
}

const MAGIC = 0x54474631; // "TGF1"
const PREFIX_BYTES = 12;
const CHECKSUM_PIECE = 4 << 20;
const SUFFIX = '.frame';
const GROUP = '.group';
const DONE = '.done';

/** CRC-32 in pieces, with a turn of the event loop for others between them: a frame may have tens of megabytes. */
async function checksum(bytes: Uint8Array, begin = 0): Promise<number> {
  let crc = begin;
  for (let at = 0; at < bytes.length; at += CHECKSUM_PIECE) {
    if (at > 0) await turn();
    crc = crc32(bytes.subarray(at, at + CHECKSUM_PIECE), crc);
  }
  return crc;
}

/**
 * A directory of frames, one file each: magic, CRC-32 of all that follows, header length, header as JSON, block.
 * A file appears under its final name only when it is whole, so a reader never meets half a frame that was being
 * written; one that was damaged later is told by its CRC and set aside.
 */
export class Spool {
  readonly directory: string;
  readonly #fsync: boolean;
  #sequence = 0;

  constructor(directory: string, fsync: boolean) {
    this.directory = directory;
    this.#fsync = fsync;
  }

  get quarantine(): string {
    return join(this.directory, 'quarantine');
  }

  /** Makes the directory, finishes what a crash cut off, and finds the frames that are left, oldest first. */
  async open(): Promise<FrameFile[]> {
    await mkdir(this.quarantine, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.directory)) {
      if (name.endsWith('.new')) await this.remove(name);
      if (name.endsWith(DONE)) await this.#removeAll((await this.#readGroup(name)).frames, name);
    }
    const names = await readdir(this.directory);
    const left = names.filter((name) => name.endsWith(SUFFIX)).sort();
    return Promise.all(
      left.map(async (name) => ({ name, bytes: (await stat(join(this.directory, name))).size })),
    );
  }

  /** Writes a frame; when it resolves the frame survives the process (with `fsync` also the host). */
  async write(header: FrameHeader, block: Uint8Array): Promise<FrameFile> {
    const json = Buffer.from(JSON.stringify(header), 'utf8');
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32LE(MAGIC, 0);
    prefix.writeUInt32LE(json.length, 8);
    prefix.writeUInt32LE(await checksum(block, crc32(json, crc32(prefix.subarray(8)))), 4);
    this.#sequence += 1;
    // Time first, so that frames of successive processes sort in the order in which they were written.
    const name = `${String(Date.now()).padStart(15, '0')}-${process.pid}-${String(this.#sequence).padStart(9, '0')}${SUFFIX}`;
    const path = join(this.directory, name);
    try {
      const file = await open(`${path}.new`, 'wx', 0o600);
      try {
        await file.writev([prefix, json, block]);
        if (this.#fsync) await file.datasync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      if (this.#fsync) await this.#syncDirectory();
    } catch (error) {
      await rm(`${path}.new`, { force: true });
      throw storeError(
        'TG_STORE_SPOOL_WRITE',
        { directory: this.directory, reason: messageOf(error) },
        error,
      );
    }
    return { name, bytes: PREFIX_BYTES + json.length + block.length };
  }

  /** The frame in a file, or the reason why it cannot be one. */
  async read(name: string): Promise<Frame | { readonly damage: string }> {
    let bytes: Buffer;
    try {
      bytes = await readFile(join(this.directory, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { damage: 'the file is gone' };
      throw error;
    }
    if (bytes.length < PREFIX_BYTES || bytes.readUInt32LE(0) !== MAGIC) return { damage: 'not a frame' };
    if ((await checksum(bytes.subarray(8))) !== bytes.readUInt32LE(4))
      return { damage: 'checksum does not match' };
    const headerEnd = PREFIX_BYTES + bytes.readUInt32LE(8);
    const header = JSON.parse(bytes.toString('utf8', PREFIX_BYTES, headerEnd)) as FrameHeader;
    return { header, block: bytes.subarray(headerEnd) };
  }

  /** Makes the names in the directory survive a power cut, as `datasync` makes the data. */
  async #syncDirectory(): Promise<void> {
    const directory = await open(this.directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** Writes down that frames belong together; when it resolves that survives the process. Gives the group's name. */
  async writeGroup(group: FrameGroup): Promise<string> {
    const name = `${group.frames[0]!.slice(0, -SUFFIX.length)}${GROUP}`;
    const path = join(this.directory, name);
    await writeFile(`${path}.new`, JSON.stringify(group), { mode: 0o600, flush: this.#fsync });
    await rename(`${path}.new`, path);
    if (this.#fsync) await this.#syncDirectory();
    return name;
  }

  /** Groups that an earlier process left and may have sent. */
  async groups(): Promise<(FrameGroup & { readonly name: string })[]> {
    const names = (await readdir(this.directory)).filter((name) => name.endsWith(GROUP)).sort();
    return Promise.all(names.map(async (name) => ({ ...(await this.#readGroup(name)), name })));
  }

  async #readGroup(name: string): Promise<FrameGroup> {
    return JSON.parse(await readFile(join(this.directory, name), 'utf8')) as FrameGroup;
  }

  /** Removes a group that is stored, frames and all; one step, however a crash cuts it. */
  async removeGroup(name: string, frames: readonly string[]): Promise<void> {
    const done = `${name.slice(0, -GROUP.length)}${DONE}`;
    await rename(join(this.directory, name), join(this.directory, done));
    await this.#removeAll(frames, done);
  }

  async #removeAll(frames: readonly string[], mark: string): Promise<void> {
    for (const frame of frames) await this.remove(frame);
    await this.remove(mark);
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.directory, name), { force: true });
  }

  /** Sets a frame aside, with the reason beside it, for a person to look at. */
  async setAside(name: string, reason: string): Promise<void> {
    await writeFile(join(this.quarantine, `${name}.reason`), `${reason}\n`, { mode: 0o600 });
    try {
      await rename(join(this.directory, name), join(this.quarantine, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Sets part of a frame aside as a Native block that a person can look at and insert by hand. */
  async setRowsAside(name: string, block: Uint8Array, reason: string): Promise<void> {
    await writeFile(join(this.quarantine, `${name}.native`), block, { mode: 0o600 });
    await writeFile(join(this.quarantine, `${name}.reason`), `${reason}\n`, { mode: 0o600 });
  }
}
