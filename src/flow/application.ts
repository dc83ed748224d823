import type { FlowBatch } from './batch.js';

/**
 * What payload heads say about a flow's application, as native code writes it into a batch: for each row a list of
 * {field (1 octet), length (2, little-endian), value}, see native/src/application_text.h.
 */

export interface ApplicationField {
  readonly name: string;
  /** Number in a row's text; equal to enum ApplicationField of native code. */
  readonly number: number;
  readonly type: 'text' | 'u32' | 'u8';
  /** IANA IPFIX element id, absent for ours and CERT's. */
  readonly ipfixId?: number;
  readonly description: string;
}

/** Names are IPFIX elements where there is one; `dnsQName` is CERT's (YAF). */
export const APPLICATION_FIELDS = [
  {
    name: 'tlsServerName',
    number: 1,
    type: 'text',
    description: 'SNI of the TLS ClientHello (RFC 6066), also of QUIC; empty = not seen',
  },
  {
    name: 'tlsApplicationProtocols',
    number: 2,
    type: 'text',
    description: 'ALPN of the TLS ClientHello (RFC 7301), comma-separated',
  },
  {
    name: 'tlsJa4',
    number: 3,
    type: 'text',
    description: 'JA4 fingerprint of the TLS client',
  },
  {
    name: 'httpRequestMethod',
    number: 4,
    type: 'text',
    ipfixId: 459,
    description: 'method of the first HTTP/1 request',
  },
  {
    name: 'httpRequestHost',
    number: 5,
    type: 'text',
    ipfixId: 460,
    description: 'host of the first HTTP/1 request',
  },
  {
    name: 'dnsQName',
    number: 6,
    type: 'text',
    description: 'name in the first DNS question',
  },
  {
    name: 'quicVersion',
    number: 7,
    type: 'u32',
    description: 'version in the first long header of QUIC (RFC 8999), 0 not seen',
  },
  {
    name: 'quicDestinationConnectionIdLength',
    number: 8,
    type: 'u8',
    description: 'octets of the destination connection id there',
  },
  {
    name: 'quicSourceConnectionIdLength',
    number: 9,
    type: 'u8',
    description: 'octets of the source connection id there',
  },
] as const satisfies readonly ApplicationField[];

export type ApplicationFieldName = (typeof APPLICATION_FIELDS)[number]['name'];

/** Number of the fields that rules name, of which a row may have several. */
export const HEADER_FIELD = 10;
/** Also truncated names and pseudonyms; whatever else a client writes there names no service. */
const HOST_NAME = /^[a-z0-9_*-]+(\.[a-z0-9_-]+)*\.?$/;
const IPV4 = /^[\d.]+$/;
const LENGTH_OCTETS = 2;
const PREFIX_OCTETS = 3;

/** The raw value of one field of a row, in the batch's memory. */
export interface FieldSlice {
  readonly number: number;
  /** First octet of the value and the one after its last, in {@link ApplicationReader.octets}. */
  readonly start: number;
  readonly end: number;
}

/** What is known of the application of one flow; absent = not seen. */
export type ApplicationRecord = Readonly<
  Partial<Record<ApplicationFieldName, string | number>> & {
    /** Rule → octets, hexadecimal. */
    headerFields?: Readonly<Record<string, string>>;
  }
>;

const BY_NUMBER = new Map<number, ApplicationField>(APPLICATION_FIELDS.map((field) => [field.number, field]));

/** Reads the application texts of a batch. Nothing is made for rows that have none. */
export class ApplicationReader {
  readonly octets: Buffer;
  readonly #offsets: Uint32Array;

  constructor(batch: FlowBatch) {
    const { layout, buffer, rows } = batch;
    this.#offsets = new Uint32Array(buffer, layout.textOffsets, rows);
    this.octets = Buffer.from(buffer, layout.text, layout.byteLength - layout.text);
  }

  has(row: number): boolean {
    return this.#offsets[row] !== 0;
  }

  /** The fields of a row in the order in which they were found. */
  *fields(row: number): Generator<FieldSlice> {
    const offset = this.#offsets[row]!;
    if (offset === 0) return;
    const first = offset - 1 + LENGTH_OCTETS;
    const end = first + this.octets.readUInt16LE(offset - 1);
    for (let at = first; at + PREFIX_OCTETS <= end; ) {
      const start = at + PREFIX_OCTETS;
      const next = start + this.octets.readUInt16LE(at + 1);
      yield { number: this.octets[at]!, start, end: next };
      at = next;
    }
  }

  record(row: number): ApplicationRecord {
    const record: Partial<Record<ApplicationFieldName, string | number>> & {
      headerFields?: Record<string, string>;
    } = {};
    for (const slice of this.fields(row)) {
      if (slice.number === HEADER_FIELD) {
        const { name, value } = this.headerField(slice);
        record.headerFields = { ...record.headerFields, [name]: value };
        continue;
      }
      const field = BY_NUMBER.get(slice.number);
      if (field === undefined) continue;
      record[field.name as ApplicationFieldName] =
        field.type === 'text' ? this.text(slice) : this.number(slice);
    }
    return record;
  }

  text({ start, end }: FieldSlice): string {
    return this.octets.toString('latin1', start, end);
  }

  number({ start, end }: FieldSlice): number {
    return this.octets.readUIntLE(start, end - start);
  }

  /** A rule's name and its octets as hexadecimal digits. */
  headerField({ start, end }: FieldSlice): { readonly name: string; readonly value: string } {
    const first = start + 1 + this.octets[start]!;
    return {
      name: this.octets.toString('utf8', start + 1, first),
      value: this.octets.toString('hex', first, end),
    };
  }

  /** The name by which the service was asked for: SNI, else the HTTP host without its port; '' = no name was seen. */
  serverName(row: number): string {
    let name = '';
    for (const slice of this.fields(row)) {
      if (slice.number !== SERVER_NAME && slice.number !== REQUEST_HOST) continue;
      const text = this.text(slice).toLowerCase().replace(/:\d+$/, '');
      if (slice.number === SERVER_NAME || name === '') name = text;
    }
    return HOST_NAME.test(name) && !IPV4.test(name) ? name : '';
  }
}

export const isHeaderField = (slice: FieldSlice): boolean => slice.number === HEADER_FIELD;

const numberOf = (name: ApplicationFieldName): number =>
  APPLICATION_FIELDS.find((field) => field.name === name)!.number;
const SERVER_NAME = numberOf('tlsServerName');
const REQUEST_HOST = numberOf('httpRequestHost');
