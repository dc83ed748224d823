import { APPLICATION_FIELDS, type ApplicationFieldName } from '../../src/flow/application.js';
import type { FlowBatch } from '../../src/flow/batch.js';
import { SLAB_HEADER } from '../../src/flow/columns.js';

export type ApplicationText = Readonly<
  Partial<Record<ApplicationFieldName, string | number>> & { headerFields?: Readonly<Record<string, string>> }
>;

const HEADER_FIELD = 10;

/** The octets that native code would write for a flow: native/src/application_text.h. */
export function applicationOctets({ headerFields, ...fields }: ApplicationText): Buffer {
  const parts: Buffer[] = [];
  const add = (number: number, value: Buffer): void => {
    parts.push(Buffer.from([number, value.length & 0xff, value.length >> 8]), value);
  };
  for (const { name, number, type } of APPLICATION_FIELDS) {
    const value = fields[name];
    if (value === undefined) continue;
    const octets = Buffer.alloc(type === 'u32' ? 4 : 1);
    if (type === 'text') add(number, Buffer.from(String(value), 'latin1'));
    else {
      octets.writeUIntLE(Number(value), 0, octets.length);
      add(number, octets);
    }
  }
  for (const [name, hex] of Object.entries(headerFields ?? {}))
    add(
      HEADER_FIELD,
      Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from(hex, 'hex')]),
    );
  return Buffer.concat(parts);
}

/** Gives a row of a batch its text, behind those that are there. */
export function writeApplication(batch: FlowBatch, row: number, text: ApplicationText): void {
  const header = new Uint32Array(batch.buffer, 0, 16);
  const octets = applicationOctets(text);
  const used = header[SLAB_HEADER.textUsed]!;
  const area = new Uint8Array(batch.buffer, batch.layout.text);
  area.set([octets.length & 0xff, octets.length >> 8], used);
  area.set(octets, used + 2);
  new Uint32Array(batch.buffer, batch.layout.textOffsets)[row] = used + 1;
  header[SLAB_HEADER.textUsed] = used + 2 + octets.length;
}
