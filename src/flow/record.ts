import { formatIPv4, formatIPv6 } from './address.js';
import { APPLICATION_FIELDS, ApplicationReader } from './application.js';
import type { ColumnView, FlowBatch } from './batch.js';
import { type ColumnDefinition, FLOW_COLUMNS } from './columns.js';

export type RecordValue = number | string | readonly number[] | Readonly<Record<string, string>>;
/** A flow record for people and scripts: IPFIX information element names → values. */
export type FlowRecord = Readonly<Record<string, RecordValue>>;

const FLOW_KINDS: Readonly<Record<number, string>> = {
  0: 'nonIp',
  4: 'ipv4',
  6: 'ipv6',
  8: 'fragment',
  9: 'unparsed',
};
const TCP = 6;
const ICMP = new Set([1, 58]);

/** Columns that say nothing when they are zero. */
const OPTIONAL = new Set([
  'tunnelId',
  'tcpHandshakeRttMicroseconds',
  'dot1qVlanId',
  'dot1qCustomerVlanId',
  'ingressInterface',
  'egressInterface',
  'unparsedReason',
  'workloadId',
  'workloadScore',
  'reconstructionError',
]);
const SPECIAL = new Set([
  'sourceIPv6Address',
  'destinationIPv6Address',
  'payloadHead',
  'reversePayloadHead',
  'fingerprint',
]);
/** Every name that a record may have; which ones one has depends on the flow. */
export const RECORD_NAMES: readonly string[] = [
  'sourceIPv4Address',
  'destinationIPv4Address',
  'sourceIPv6Address',
  'destinationIPv6Address',
  ...FLOW_COLUMNS.map((column) => column.name).filter((name) => !SPECIAL.has(name)),
  ...APPLICATION_FIELDS.map((field) => field.name),
  'headerFields',
];
const isTcpColumn = (name: string): boolean => /tcp/i.test(name);
const isPortColumn = (name: string): boolean => name.endsWith('TransportPort');

const exact = (value: number | bigint): number | string =>
  typeof value === 'bigint' ? (value <= 0x1fffffffffffffn ? Number(value) : value.toString()) : value;

/**
 * Rows of a batch as objects, one at a time: for `replay --output json` and for debugging, never on the way to the
 * store. Keys are IPFIX information element names; `flowStartNanoseconds` and other 64-bit values beyond 2^53 are
 * decimal strings, so nothing is rounded. What has no meaning for a flow (ports of ICMP, TCP fields of UDP) is absent.
 */
export class RecordReader {
  readonly #batch: FlowBatch;
  readonly #columns: readonly { readonly definition: ColumnDefinition; readonly view: ColumnView }[];
  readonly #source: Uint8Array;
  readonly #destination: Uint8Array;
  readonly #application: ApplicationReader;

  constructor(batch: FlowBatch) {
    this.#batch = batch;
    this.#columns = FLOW_COLUMNS.filter((column) => !SPECIAL.has(column.name)).map((definition) => ({
      definition,
      view: batch.column(definition.name, definition.type),
    }));
    this.#source = batch.column('sourceIPv6Address', 'u8');
    this.#destination = batch.column('destinationIPv6Address', 'u8');
    this.#application = new ApplicationReader(batch);
  }

  get rows(): number {
    return this.#batch.rows;
  }

  record(row: number): FlowRecord {
    const record: Record<string, RecordValue> = {};
    const protocol = this.#number('protocolIdentifier', row);
    const version = this.#number('ipVersion', row);
    if (version === 4) {
      record.sourceIPv4Address = formatIPv4(this.#source, row * 16);
      record.destinationIPv4Address = formatIPv4(this.#destination, row * 16);
    } else if (version === 6) {
      record.sourceIPv6Address = formatIPv6(this.#source, row * 16);
      record.destinationIPv6Address = formatIPv6(this.#destination, row * 16);
    }
    for (const { definition, view } of this.#columns) {
      const { name, width } = definition;
      if (isTcpColumn(name) && protocol !== TCP) continue;
      if (isPortColumn(name) && (version === 0 || ICMP.has(protocol))) continue;
      if (name === 'icmpTypeCode' && !ICMP.has(protocol)) continue;
      if (width > 1) {
        record[name] = Array.from(view.subarray(row * width, (row + 1) * width) as Uint32Array, Number);
        continue;
      }
      const value = exact(view[row]!);
      if (name === 'flowKind') record[name] = FLOW_KINDS[Number(value)] ?? value;
      else if (value !== 0 || !OPTIONAL.has(name)) record[name] = value;
    }
    return this.#application.has(row) ? { ...record, ...this.#application.record(row) } : record;
  }

  #number(name: string, row: number): number {
    return Number(this.#columns.find((column) => column.definition.name === name)!.view[row]);
  }
}
