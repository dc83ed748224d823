import { open, rename, rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** A piece is a millisecond of checksum, and a turn of the thread pool. */
const PIECE_BYTES = 4 << 20;

/** CRC-32 of what is in memory, in pieces, with a turn of the event loop for others after each. */
export async function checksum(bytes: Uint8Array, turn: () => Promise<unknown>): Promise<number> {
  let crc = 0;
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) await turn();
    crc = crc32(bytes.subarray(at, at + PIECE_BYTES), crc);
  }
  return crc;
}

/** CRC-32 and length of a file, read piece by piece. */
export async function checksumOfFile(
  path: string,
): Promise<{ readonly crc: number; readonly bytes: number }> {
  const file = await open(path, 'r');
  try {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, Math.max(1, (await file.stat()).size)));
    let [crc, bytes] = [0, 0];
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) return { crc, bytes };
      crc = crc32(piece.subarray(0, bytesRead), crc);
      bytes += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** Writes a new file whole; one that could not be written is not there afterwards. */
export async function writeWhole(path: string, bytes: Uint8Array, fsync: boolean): Promise<void> {
  try {
    const file = await open(path, 'w', 0o600);
    try {
      // In large pieces: `writeFile` would write half a megabyte at a time. A disk that is full takes less than all.
      for (let at = 0; at < bytes.length; ) {
        at += (await file.write(bytes, at, Math.min(2 * PIECE_BYTES, bytes.length - at))).bytesWritten;
      }
      if (fsync) await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Writes a file that appears under its name only when it is whole, in place of an older one if there is one. */
export async function replaceFile(path: string, bytes: Uint8Array, fsync: boolean): Promise<void> {
  await writeWhole(`${path}.new`, bytes, fsync);
  await rename(`${path}.new`, path);
}

/** Makes the names in a directory survive a power cut, as `datasync` makes the data. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
