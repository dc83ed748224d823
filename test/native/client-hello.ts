import { createHash } from 'node:crypto';

/** What a ClientHello shall say, in this order. */
export interface Hello {
  readonly version?: number;
  readonly ciphers: readonly number[];
  /** Types; those below get their contents, others none. */
  readonly extensions: readonly number[];
  readonly serverName?: string;
  readonly protocols?: readonly string[];
  readonly algorithms?: readonly number[];
  readonly versions?: readonly number[];
}

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const u16s = (values: readonly number[]): Buffer => Buffer.concat(values.map(u16));
const sized8 = (value: Uint8Array): Buffer => Buffer.concat([Buffer.from([value.length]), value]);
const sized16 = (value: Uint8Array): Buffer => Buffer.concat([u16(value.length), value]);

function extension(type: number, hello: Hello): Buffer {
  const contents: Readonly<Record<number, Buffer>> = {
    0: sized16(Buffer.concat([Buffer.from([0]), sized16(Buffer.from(hello.serverName ?? 'example.org'))])),
    13: sized16(u16s(hello.algorithms ?? [])),
    16: sized16(Buffer.concat((hello.protocols ?? []).map((name) => sized8(Buffer.from(name, 'latin1'))))),
    43: sized8(u16s(hello.versions ?? [])),
  };
  return Buffer.concat([u16(type), sized16(contents[type] ?? Buffer.alloc(0))]);
}

/** The handshake message, RFC 8446 section 4.1.2. */
export function clientHello(hello: Hello): Buffer {
  const body = Buffer.concat([
    u16(hello.version ?? 0x0303),
    Buffer.alloc(32, 7),
    sized8(Buffer.alloc(32, 9)),
    sized16(u16s(hello.ciphers)),
    sized8(Buffer.from([0])),
    sized16(Buffer.concat(hello.extensions.map((type) => extension(type, hello)))),
  ]);
  return Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
}

/** In TLS records of so many octets at most. */
export function tlsRecords(message: Uint8Array, octets = 16_384): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += octets) {
    const part = message.subarray(at, at + octets);
    records.push(Buffer.from([22, 3, 1]), sized16(part));
  }
  return Buffer.concat(records);
}

const isGrease = (value: number): boolean => (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
const hex4 = (value: number): string => value.toString(16).padStart(4, '0');
const short = (text: string): string =>
  text === '' ? '000000000000' : createHash('sha256').update(text).digest('hex').slice(0, 12);
const VERSIONS: Readonly<Record<number, string>> = {
  772: '13',
  771: '12',
  770: '11',
  769: '10',
  768: 's3',
  2: 's2',
};

/** JA4 once more, from the specification and with another SHA-256: what native code must agree with. */
export function ja4(hello: Hello): string {
  const plain = (values: readonly number[]): number[] => values.filter((value) => !isGrease(value));
  const ciphers = plain(hello.ciphers);
  const extensions = plain(hello.extensions);
  const offered = hello.extensions.includes(43) ? plain(hello.versions ?? []) : [];
  const version = VERSIONS[offered.length > 0 ? Math.max(...offered) : (hello.version ?? 0x0303)] ?? '00';
  const first = hello.extensions.includes(16) ? (hello.protocols?.[0] ?? '') : '';
  const bytes = Buffer.from(first, 'latin1');
  const alphanumeric = (octet: number | undefined): boolean =>
    octet !== undefined && /[0-9A-Za-z]/.test(String.fromCharCode(octet));
  const digits = bytes.toString('hex');
  const protocol =
    first === ''
      ? '00'
      : alphanumeric(bytes[0]) && alphanumeric(bytes.at(-1))
        ? first[0]! + first.at(-1)!
        : digits[0]! + digits.at(-1)!;
  const count = (values: readonly unknown[]): string => String(Math.min(99, values.length)).padStart(2, '0');
  const sorted = extensions
    .filter((type) => type !== 0 && type !== 16)
    .map(hex4)
    .sort()
    .join(',');
  const algorithms = hello.extensions.includes(13) ? plain(hello.algorithms ?? []) : [];
  const tail =
    sorted !== '' && algorithms.length > 0 ? `${sorted}_${algorithms.map(hex4).join(',')}` : sorted;
  return [
    `t${version}${extensions.includes(0) ? 'd' : 'i'}${count(ciphers)}${count(extensions)}${protocol}`,
    short(ciphers.map(hex4).sort().join(',')),
    short(tail),
  ].join('_');
}
