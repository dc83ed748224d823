import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { replaceFile } from './spool-files.js';
import type { FrameGroup } from './spool-groups.js';

/** "TGF1" as a little-endian number; then CRC-32 of all that follows, length of the header, header as JSON, block. */
const MAGIC = 0x54474631;
const PREFIX_BYTES = 12;
const SUFFIX = '.frame';

/** What a frame of the first format held. */
export interface FirstFormatFrame {
  /** Without suffix. */
  readonly name: string;
  /** As JSON of the header that the later format has, too. */
  readonly header: Readonly<Record<string, unknown>>;
  readonly block: Uint8Array;
  /** Whether it belongs to a group; if not it may have been sent under its own token. */
  readonly grouped: boolean;
}

/** A frame in the octets of a file; `undefined` when they are of another format, or damaged. */
function frameOf(octets: Buffer): Pick<FirstFormatFrame, 'header' | 'block'> | undefined {
  if (octets.length < PREFIX_BYTES || octets.readUInt32LE(0) !== MAGIC) return undefined;
  if (crc32(octets.subarray(8)) !== octets.readUInt32LE(4)) return undefined;
  const end = PREFIX_BYTES + octets.readUInt32LE(8);
  const header = JSON.parse(octets.toString('utf8', PREFIX_BYTES, end)) as Readonly<Record<string, unknown>>;
  return { header, block: octets.subarray(end) };
}

/**
 * Hands out what a gateway of before the second format left in the spool, so that it is written anew and sent under the
 * tokens that it had. Its groups name files where later ones name frames: they are put right first. A crash on the way
 * leaves each frame in one format or the other.
 */
export async function* firstFormat(directory: string): AsyncGenerator<FirstFormatFrame> {
  const names = await readdir(directory);
  const grouped = new Set<string>();
  for (const name of names.filter((entry) => entry.endsWith('.group') || entry.endsWith('.done'))) {
    const path = join(directory, name);
    let group: FrameGroup;
    try {
      group = JSON.parse(await readFile(path, 'utf8')) as FrameGroup;
    } catch (error) {
      // A damaged group is found and set aside where groups are read.
      if (error instanceof SyntaxError) continue;
      throw error;
    }
    const frames = group.frames.map((frame) =>
      frame.endsWith(SUFFIX) ? frame.slice(0, -SUFFIX.length) : frame,
    );
    for (const frame of frames) grouped.add(frame);
    if (group.frames.some((frame) => frame.endsWith(SUFFIX))) {
      await replaceFile(path, Buffer.from(JSON.stringify({ ...group, frames }), 'utf8'), true);
    }
  }
  for (const entry of names.filter((file) => file.endsWith(SUFFIX)).sort()) {
    const path = join(directory, entry);
    const found = frameOf(await readFile(path));
    if (found === undefined) continue;
    const name = entry.slice(0, -SUFFIX.length);
    // Aside until it is written anew: a header of the later format has the same name.
    await rename(path, `${path}1`);
    yield { name, ...found, grouped: grouped.has(name) };
    await rm(`${path}1`, { force: true });
  }
}

/** Puts back what a crash left aside. */
export async function restoreFirstFormat(directory: string): Promise<void> {
  const names = await readdir(directory);
  for (const entry of names.filter((file) => file.endsWith(`${SUFFIX}1`))) {
    const name = entry.slice(0, -`${SUFFIX}1`.length);
    const written = names.includes(`${name}${SUFFIX}`) || names.includes(`${name}.alone`);
    if (written) await rm(join(directory, entry), { force: true });
    else await rename(join(directory, entry), join(directory, `${name}${SUFFIX}`));
  }
}
