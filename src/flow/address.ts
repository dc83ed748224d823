import { isIPv6 } from 'node:net';

/** Text forms of 16-octet addresses (RFC 4291, RFC 5952). */

/** One spelling of an address: IPv6 has many, the URL standard names one, in brackets. */
export const canonicalAddress = (address: string): string =>
  isIPv6(address) ? new URL(`http://[${address}]/`).hostname : address;

/** Whether the octets at `offset` are an IPv4-mapped address (`::ffff:0:0/96`). */
export function isMappedIPv4(bytes: Uint8Array, offset = 0): boolean {
  for (let i = 0; i < 10; i += 1) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

/** `192.0.2.1` of an IPv4-mapped address. */
export const formatIPv4 = (bytes: Uint8Array, offset = 0): string =>
  `${bytes[offset + 12]}.${bytes[offset + 13]}.${bytes[offset + 14]}.${bytes[offset + 15]}`;

/** The canonical text of an IPv6 address, RFC 5952: the longest run of zero groups is shortened. */
export function formatIPv6(bytes: Uint8Array, offset = 0): string {
  const groups = Array.from(
    { length: 8 },
    (_, i) => (bytes[offset + 2 * i]! << 8) | bytes[offset + 2 * i + 1]!,
  );
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i += 1) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length += 1;
    if (length > bestLength) {
      best = i;
      bestLength = length;
    }
  }
  const text = groups.map((group) => group.toString(16));
  if (best === -1) return text.join(':');
  return `${text.slice(0, best).join(':')}::${text.slice(best + bestLength).join(':')}`;
}

/** The text of either family. */
export const formatAddress = (bytes: Uint8Array, offset = 0): string =>
  isMappedIPv4(bytes, offset) ? formatIPv4(bytes, offset) : formatIPv6(bytes, offset);
