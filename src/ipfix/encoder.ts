import { ApplicationReader, HEADER_FIELD } from '../flow/application.js';
import type { ColumnView, FlowBatch } from '../flow/batch.js';
import {
  type Field,
  fieldsOf,
  NAME_TEMPLATES,
  type NameField,
  nameFields,
  TEMPLATES,
  type TemplateName,
  VARIABLE_LENGTH,
} from './elements.js';

/** RFC 7011, section 3. */
const VERSION = 10;
const MESSAGE_HEADER = 16;
const SET_HEADER = 4;
const TEMPLATE_SET = 2;
const OPTIONS_TEMPLATE_SET = 3;
const ENTERPRISE_BIT = 0x8000;
/** Options that describe elements of an enterprise (RFC 5610). */
const TYPE_OPTIONS = 259;
const NS_PER_MS = 1_000_000n;
const NAMES: readonly TemplateName[] = ['ipv4', 'ipv6', 'other'];

export interface IpfixOptions {
  readonly observationDomainId: number;
  /** Enterprise of the elements that IANA has none for; absent = they are left out. */
  readonly enterprise?: number;
  /** Largest message, octets. */
  readonly messageOctets: number;
  /** Flows of which names are known have them, by templates of their own. */
  readonly names?: boolean;
}

interface Template {
  readonly id: number;
  readonly fields: readonly Field[];
  readonly recordOctets: number;
}

/** Flow records as IPFIX messages (RFC 7011), both directions in one record (RFC 5103). Pure: bytes in, bytes out. */
export class IpfixEncoder {
  readonly #options: IpfixOptions;
  readonly #templates: ReadonlyMap<TemplateName, Template>;
  readonly #names: readonly NameField[];
  /** Data records sent so far in this transport session. */
  #sequence = 0;

  constructor(options: IpfixOptions) {
    this.#options = options;
    this.#names = options.names ? nameFields(options.enterprise) : [];
    this.#templates = new Map(
      NAMES.map((name): [TemplateName, Template] => {
        const fields = fieldsOf(name, options.enterprise);
        return [
          name,
          { id: TEMPLATES[name], fields, recordOctets: fields.reduce((sum, field) => sum + field.octets, 0) },
        ];
      }),
    );
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** A new transport session counts from nothing. */
  restart(): void {
    this.#sequence = 0;
  }

  /** Messages that describe what follows: templates, and the types of the enterprise's elements. */
  templates(exportSeconds: number): Buffer[] {
    const templates = [...this.#templates.values()].map(({ id, fields }) => templateRecord(id, fields));
    for (const [name, { fields }] of this.#templates)
      if (this.#names.length > 0 && name !== 'other')
        templates.push(templateRecord(NAME_TEMPLATES[name], [...fields, ...this.#names]));
    const messages = [this.#message(exportSeconds, [set(TEMPLATE_SET, templates)], 0)];
    const { enterprise } = this.#options;
    if (enterprise === undefined) return messages;
    const own = new Map(
      [...this.#templates.values()]
        .flatMap((template): (Field | NameField)[] => [...template.fields])
        .concat(this.#names)
        .filter((field) => field.enterprise === enterprise)
        .map((field) => [field.elementId, field]),
    );
    messages.push(this.#message(exportSeconds, [set(OPTIONS_TEMPLATE_SET, [typeOptionsTemplate()])], 0));
    for (const part of this.#fitting([...own.values()].map(typeRecord)))
      messages.push(this.#message(exportSeconds, [set(TYPE_OPTIONS, part)], part.length));
    return messages;
  }

  /** Messages that carry the rows of a batch; the batch is not needed after. */
  *records(batch: FlowBatch, exportSeconds: number): Generator<Buffer> {
    const views = new Map<string, ColumnView>();
    for (const template of this.#templates.values())
      for (const { column } of template.fields)
        if (!views.has(column.name)) views.set(column.name, batch.column(column.name, column.type));
    const put = (body: Buffer, from: number, { fields }: Template, row: number): number =>
      fields.reduce((at, field) => write(body, at, field, views.get(field.column.name)!, row), from);
    const kinds = templatesOf(batch);
    const texts = this.#names.length > 0 ? new ApplicationReader(batch) : undefined;
    const named = (row: number): boolean => texts?.has(row) === true && kinds[row] !== 'other';
    for (const [name, template] of this.#templates) {
      const rows = kinds.flatMap((kind, row) => (kind === name && !named(row) ? [row] : []));
      const perMessage = Math.max(
        1,
        Math.floor((this.#options.messageOctets - MESSAGE_HEADER - SET_HEADER) / template.recordOctets),
      );
      for (let from = 0; from < rows.length; from += perMessage) {
        const part = rows.slice(from, from + perMessage);
        const body = Buffer.alloc(part.length * template.recordOctets);
        let at = 0;
        for (const row of part) at = put(body, at, template, row);
        yield this.#message(exportSeconds, [set(template.id, [body])], part.length);
      }
      if (texts === undefined || name === 'other') continue;
      const records = kinds.flatMap((kind, row) => {
        if (kind !== name || !named(row)) return [];
        const body = Buffer.alloc(template.recordOctets);
        put(body, 0, template, row);
        const room = this.#options.messageOctets - MESSAGE_HEADER - SET_HEADER - body.length;
        return [Buffer.concat([body, ...nameValues(texts, row, this.#names, room)])];
      });
      for (const part of this.#fitting(records))
        yield this.#message(exportSeconds, [set(NAME_TEMPLATES[name], part)], part.length);
    }
  }

  /** Records cut into lots that fit a message. */
  #fitting(records: readonly Buffer[]): Buffer[][] {
    const lots: Buffer[][] = [];
    let room = 0;
    for (const record of records) {
      if (room < record.length) {
        lots.push([]);
        room = this.#options.messageOctets - MESSAGE_HEADER - SET_HEADER;
      }
      lots.at(-1)?.push(record);
      room -= record.length;
    }
    return lots;
  }

  #message(exportSeconds: number, sets: readonly Buffer[], records: number): Buffer {
    const header = Buffer.alloc(MESSAGE_HEADER);
    header.writeUInt16BE(VERSION, 0);
    header.writeUInt16BE(MESSAGE_HEADER + sets.reduce((sum, part) => sum + part.length, 0), 2);
    header.writeUInt32BE(exportSeconds >>> 0, 4);
    header.writeUInt32BE(this.#sequence >>> 0, 8);
    header.writeUInt32BE(this.#options.observationDomainId, 12);
    this.#sequence = (this.#sequence + records) >>> 0;
    return Buffer.concat([header, ...sets]);
  }
}

/** Which template each row needs: by its kind, and by whether its addresses are IPv4 in IPv6's clothes. */
function templatesOf(batch: FlowBatch): TemplateName[] {
  const versions = batch.column('ipVersion', 'u8');
  return Array.from(versions, (version) => (version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : 'other'));
}

function write(body: Buffer, at: number, field: Field, view: ColumnView, row: number): number {
  const { column, kind } = field;
  if (kind === 'milliseconds') return body.writeBigUInt64BE((view[row] as bigint) / NS_PER_MS, at);
  const first = row * column.width;
  if (kind === 'ipv4') {
    for (let i = 12; i < 16; i += 1) body[at + i - 12] = Number(view[first + i]);
    return at + 4;
  }
  let end = at;
  for (let i = first; i < first + column.width; i += 1) {
    const value = view[i]!;
    if (column.type === 'u64') end = body.writeBigUInt64BE(value as bigint, end);
    else if (column.type === 'u32') end = body.writeUInt32BE(value as number, end);
    else if (column.type === 'u16') end = body.writeUInt16BE(value as number, end);
    else if (column.type === 'i16') end = body.writeInt16BE(value as number, end);
    else if (column.type === 'f32') end = body.writeFloatBE(value as number, end);
    else end = body.writeUInt8(value as number, end);
  }
  return end;
}

function set(id: number, records: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(SET_HEADER);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(SET_HEADER + records.reduce((sum, record) => sum + record.length, 0), 2);
  return Buffer.concat([header, ...records]);
}

function specifier(elementId: number, octets: number, enterprise: number): Buffer {
  const field = Buffer.alloc(enterprise === 0 ? 4 : 8);
  field.writeUInt16BE(enterprise === 0 ? elementId : elementId | ENTERPRISE_BIT, 0);
  field.writeUInt16BE(octets, 2);
  if (enterprise !== 0) field.writeUInt32BE(enterprise, 4);
  return field;
}

/**
 * The names of a row, of at most `room` octets: text that was not seen or finds no room is empty, a number that was not
 * seen 0. Rules: a JSON object, name → octets, hexadecimal.
 */
function nameValues(
  texts: ApplicationReader,
  row: number,
  fields: readonly NameField[],
  room: number,
): Buffer[] {
  const slices = [...texts.fields(row)];
  let left = room - fields.reduce((sum, { octets }) => sum + (octets === VARIABLE_LENGTH ? 1 : octets), 0);
  return fields.map(({ number, octets }) => {
    const found = slices.filter((slice) => slice.number === number);
    const [first] = found;
    if (octets !== VARIABLE_LENGTH) {
      const value = Buffer.alloc(octets);
      if (first !== undefined) value.writeUIntBE(texts.number(first), 0, octets);
      return value;
    }
    const rules = found.flatMap((slice) => (number === HEADER_FIELD ? [texts.headerField(slice)] : []));
    const text =
      number === HEADER_FIELD && rules.length > 0
        ? Buffer.from(JSON.stringify(Object.fromEntries(rules.map(({ name, value }) => [name, value]))))
        : texts.octets.subarray(first?.start ?? 0, first?.end ?? 0);
    const value = variable(text);
    if (value.length - 1 > left) return variable(Buffer.alloc(0));
    left -= value.length - 1;
    return value;
  });
}

/** A value that says its length (RFC 7011, 7). */
function variable(value: Buffer): Buffer {
  const long = value.length >= 255;
  const prefix = Buffer.alloc(long ? 3 : 1);
  prefix.writeUInt8(long ? 255 : value.length, 0);
  if (long) prefix.writeUInt16BE(value.length, 1);
  return Buffer.concat([prefix, value]);
}

function templateRecord(id: number, fields: readonly (Field | NameField)[]): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(fields.length, 2);
  return Buffer.concat([header, ...fields.map((f) => specifier(f.elementId, f.octets, f.enterprise))]);
}

/** privateEnterpriseNumber and informationElementId as scope, then data type and name (RFC 5610, 3.9). */
function typeOptionsTemplate(): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt16BE(TYPE_OPTIONS, 0);
  header.writeUInt16BE(4, 2);
  header.writeUInt16BE(2, 4);
  return Buffer.concat([
    header,
    specifier(346, 4, 0),
    specifier(303, 2, 0),
    specifier(339, 1, 0),
    specifier(341, VARIABLE_LENGTH, 0),
  ]);
}

function typeRecord(field: Field | NameField): Buffer {
  const record = Buffer.alloc(8 + field.name.length);
  record.writeUInt32BE(field.enterprise, 0);
  record.writeUInt16BE(field.elementId, 4);
  record.writeUInt8(field.dataType, 6);
  record.writeUInt8(field.name.length, 7);
  record.write(field.name, 8, 'latin1');
  return record;
}
