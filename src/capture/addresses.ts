import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { defineErrors, messageOf } from '../base/errors.js';

const fail = defineErrors({
  TG_CAPTURE_ADDRESS_KEY: {
    message: 'the key for address pseudonyms cannot be used: {path}: {reason}',
    hint: 'make one with `head -c 32 /dev/urandom > FILE`, readable by the gateway alone, and keep it: another key gives other pseudonyms',
    exitCode: 2,
  },
});

/** What becomes of addresses before they leave the flow table. */
export type AddressSettings =
  | { readonly mode: 'plain' }
  /** The first bits stay, the others are zero. */
  | { readonly mode: 'truncate'; readonly ipv4Prefix: number; readonly ipv6Prefix: number }
  /** Pseudonyms that share prefixes as the addresses do; whoever has the key can tell who is who. */
  | { readonly mode: 'pseudonym'; readonly key: Uint8Array };

const MINIMUM_KEY_BYTES = 16;

/** The native form: mode, prefixes and 16 octets of key. */
export function addressOptions(settings: AddressSettings = { mode: 'plain' }): {
  readonly addressMode: number;
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
  readonly addressKey: Uint8Array;
} {
  const plain = { addressMode: 0, ipv4Prefix: 32, ipv6Prefix: 128, addressKey: new Uint8Array(16) };
  if (settings.mode === 'plain') return plain;
  if (settings.mode === 'pseudonym') return { ...plain, addressMode: 2, addressKey: settings.key };
  return {
    ...plain,
    addressMode: 1,
    ipv4Prefix: settings.ipv4Prefix,
    ipv6Prefix: settings.ipv6Prefix,
  };
}

/** 16 octets of key from a file of at least as many. @throws TG_CAPTURE_ADDRESS_KEY */
export function readAddressKey(path: string): Uint8Array {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fail('TG_CAPTURE_ADDRESS_KEY', { path, reason: messageOf(error) }, error);
  }
  if (bytes.length < MINIMUM_KEY_BYTES)
    throw fail('TG_CAPTURE_ADDRESS_KEY', { path, reason: `it has only ${bytes.length} octets` });
  return new Uint8Array(createHash('sha256').update(bytes).digest().subarray(0, MINIMUM_KEY_BYTES));
}
