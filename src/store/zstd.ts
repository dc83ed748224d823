import { loadAddon, type NativeAddon } from '../capture/addon.js';

interface ZstdAddon extends NativeAddon {
  zstdCompress(octets: Uint8Array, level: number): Promise<Buffer>;
  zstdDecompress(octets: Uint8Array, limit: number): Promise<Buffer>;
}

/** No frame of the spool is larger: a guard against a length that damage made. */
const LARGEST_BYTES = 2 ** 31;
/** The quickest level: a backlog grows while it is packed. */
const LEVEL = 1;

/** One zstd frame of the octets, made on a thread of libuv's pool. */
export const zstdCompress = (octets: Uint8Array): Promise<Buffer> =>
  loadAddon<ZstdAddon>().zstdCompress(octets, LEVEL);

/** What a zstd frame holds. Rejects octets that are not one. */
export const zstdDecompress = (octets: Uint8Array): Promise<Buffer> =>
  loadAddon<ZstdAddon>().zstdDecompress(octets, LARGEST_BYTES);
