import type { FlowBatch } from '../../flow/batch.js';

/** 64-bit columns as pairs of 32-bit words: reading a BigUint64Array allocates for every value. */
function words(batch: FlowBatch, name: string): Uint32Array {
  const placement = batch.layout.columns.get(name);
  if (placement?.definition.type !== 'u64') throw new TypeError(`no 64-bit flow column ${name}`);
  return new Uint32Array(batch.buffer, placement.offset, batch.rows * 2);
}

/** Row `row` of a 64-bit column as a number; exact up to 2^53. */
export const wide = (pairs: Uint32Array, row: number): number =>
  pairs[row * 2]! + pairs[row * 2 + 1]! * 2 ** 32;

/** The columns that features and endpoints are made from: views of one batch. */
export interface RecordColumns {
  readonly start: Uint32Array;
  readonly end: Uint32Array;
  /** [forward, reverse] */
  readonly octets: readonly [Uint32Array, Uint32Array];
  readonly packets: readonly [Uint32Array, Uint32Array];
  readonly sizes: readonly [Uint32Array, Uint32Array];
  readonly gaps: readonly [Uint32Array, Uint32Array];
  readonly flags: readonly [Uint32Array, Uint32Array];
  readonly windowMin: readonly [Uint16Array, Uint16Array];
  readonly windowMax: readonly [Uint16Array, Uint16Array];
  readonly segment: readonly [Uint16Array, Uint16Array];
  readonly scale: readonly [Uint8Array, Uint8Array];
  readonly ttlMin: readonly [Uint8Array, Uint8Array];
  readonly ttlMax: readonly [Uint8Array, Uint8Array];
  readonly service: readonly [Uint8Array, Uint8Array];
  readonly head: readonly [Uint8Array, Uint8Array];
  readonly ports: readonly [Uint16Array, Uint16Array];
  readonly addresses: readonly [Uint8Array, Uint8Array];
  readonly payloads: Int16Array;
  readonly protocol: Uint8Array;
  readonly version: Uint8Array;
  readonly kind: Uint8Array;
  readonly unparsed: Uint8Array;
  readonly etherType: Uint16Array;
  readonly icmp: Uint16Array;
  readonly direction: Uint8Array;
}

export function recordColumns(batch: FlowBatch): RecordColumns {
  const u8 = (a: string, b: string) => [batch.column(a, 'u8'), batch.column(b, 'u8')] as const;
  const u16 = (a: string, b: string) => [batch.column(a, 'u16'), batch.column(b, 'u16')] as const;
  const u32 = (a: string, b: string) => [batch.column(a, 'u32'), batch.column(b, 'u32')] as const;
  return {
    start: words(batch, 'flowStartNanoseconds'),
    end: words(batch, 'flowEndNanoseconds'),
    octets: [words(batch, 'octetDeltaCount'), words(batch, 'reverseOctetDeltaCount')],
    packets: [words(batch, 'packetDeltaCount'), words(batch, 'reversePacketDeltaCount')],
    sizes: u32('packetSizeBins', 'reversePacketSizeBins'),
    gaps: u32('interArrivalBins', 'reverseInterArrivalBins'),
    flags: u32('tcpFlagCounts', 'reverseTcpFlagCounts'),
    windowMin: u16('minimumTcpWindow', 'reverseMinimumTcpWindow'),
    windowMax: u16('maximumTcpWindow', 'reverseMaximumTcpWindow'),
    segment: u16('tcpMaximumSegmentSize', 'reverseTcpMaximumSegmentSize'),
    scale: u8('tcpWindowScale', 'reverseTcpWindowScale'),
    ttlMin: u8('minimumTTL', 'reverseMinimumTTL'),
    ttlMax: u8('maximumTTL', 'reverseMaximumTTL'),
    service: u8('ipClassOfService', 'reverseIpClassOfService'),
    head: u8('payloadHead', 'reversePayloadHead'),
    ports: u16('sourceTransportPort', 'destinationTransportPort'),
    addresses: u8('sourceIPv6Address', 'destinationIPv6Address'),
    payloads: batch.column('firstPayloadSizes', 'i16'),
    protocol: batch.column('protocolIdentifier', 'u8'),
    version: batch.column('ipVersion', 'u8'),
    kind: batch.column('flowKind', 'u8'),
    unparsed: batch.column('unparsedReason', 'u8'),
    etherType: batch.column('ethernetType', 'u16'),
    icmp: batch.column('icmpTypeCode', 'u16'),
    direction: batch.column('biflowDirection', 'u8'),
  };
}
