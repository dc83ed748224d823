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

const MAGIC = 0x54474631; // "TGF1"
const PREFIX_BYTES = 12;
const CHECKSUM_PIECE = 4 << 20;
const SUFFIX = '.frame';

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

  /** Makes the directory and finds what an earlier process left, oldest first. */
  async open(): Promise<FrameFile[]> {
    await mkdir(this.quarantine, { recursive: true, mode: 0o700 });
    const names = await readdir(this.directory);
    for (const name of names)
      if (name.endsWith('.new')) await rm(join(this.directory, name), { force: true });
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
