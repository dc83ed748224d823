/**
 * The flow record as user space sees it: one table from which the C++ layout (`native/src/flow_columns.generated.h`),
 * the batch views and the store's columns are derived. Names are IPFIX information elements where one exists
 * (`ipfixId`); `reverse…` counters are RFC 5103 reverse elements. Source = initiator of the biflow.
 */

export type ColumnType = 'u8' | 'u16' | 'u32' | 'u64' | 'i16' | 'f32';

export interface ColumnDefinition {
  readonly name: string;
  readonly type: ColumnType;
  /** Elements per row; > 1 is a fixed-length array. */
  readonly width: number;
  /** IANA IPFIX element id, absent for ours. */
  readonly ipfixId?: number;
  /** Filled by the native side ("metered") or by the pipeline after it ("annotated"). */
  readonly origin: 'metered' | 'annotated';
  readonly description: string;
}

const metered = (
  name: string,
  type: ColumnType,
  width: number,
  ipfixId: number | undefined,
  description: string,
): ColumnDefinition => ({
  name,
  type,
  width,
  ...(ipfixId === undefined ? {} : { ipfixId }),
  origin: 'metered',
  description,
});

const annotated = (name: string, type: ColumnType, width: number, description: string): ColumnDefinition => ({
  name,
  type,
  width,
  origin: 'annotated',
  description,
});

export const FINGERPRINT_DIMENSIONS = 32;

export const FLOW_COLUMNS: readonly ColumnDefinition[] = [
  metered('flowId', 'u64', 1, 148, 'stable id of the flow across its records'),
  metered('flowStartNanoseconds', 'u64', 1, 156, 'first packet of this record, Unix time in ns'),
  metered('flowEndNanoseconds', 'u64', 1, 157, 'last packet of this record, Unix time in ns'),
  metered('octetDeltaCount', 'u64', 1, 1, 'octets source to destination'),
  metered('packetDeltaCount', 'u64', 1, 2, 'packets source to destination'),
  metered('reverseOctetDeltaCount', 'u64', 1, 1, 'octets destination to source'),
  metered('reversePacketDeltaCount', 'u64', 1, 2, 'packets destination to source'),
  metered('sourceIPv6Address', 'u8', 16, 27, 'initiator; IPv4 as IPv4-mapped'),
  metered('destinationIPv6Address', 'u8', 16, 28, 'responder; IPv4 as IPv4-mapped'),
  metered('ingressInterface', 'u32', 1, 10, 'ifindex where source packets came in, 0 unknown'),
  metered('egressInterface', 'u32', 1, 14, 'ifindex where destination packets came in, 0 unknown'),
  metered('tunnelId', 'u32', 1, undefined, 'VNI, GRE key or TEID of the tunnel that was entered, 0 none'),
  metered('tcpHandshakeRttMicroseconds', 'u32', 1, undefined, 'SYN to the ACK that completes it, 0 unknown'),
  metered('samplingPacketInterval', 'u32', 1, 305, '1 = every packet'),
  metered('packetSizeBins', 'u32', 16, undefined, 'packets by IP length, source to destination'),
  metered('reversePacketSizeBins', 'u32', 16, undefined, 'packets by IP length, destination to source'),
  metered('interArrivalBins', 'u32', 16, undefined, 'gaps, log2 of 1.024 us, source to destination'),
  metered('reverseInterArrivalBins', 'u32', 16, undefined, 'gaps, destination to source'),
  metered('tcpFlagCounts', 'u32', 8, undefined, 'FIN SYN RST PSH ACK URG ECE CWR, source to destination'),
  metered('reverseTcpFlagCounts', 'u32', 8, undefined, 'the same, destination to source'),
  metered(
    'firstPayloadSizes',
    'i16',
    8,
    undefined,
    'first non-empty payloads of the flow; negative = reverse',
  ),
  metered('sourceTransportPort', 'u16', 1, 7, 'port of the initiator'),
  metered('destinationTransportPort', 'u16', 1, 11, 'port of the responder'),
  metered('ethernetType', 'u16', 1, 256, 'EtherType of the (inner) network packet'),
  metered('dot1qVlanId', 'u16', 1, 243, 'outer VLAN, 0 none'),
  metered('dot1qCustomerVlanId', 'u16', 1, 245, 'inner VLAN, 0 none'),
  metered('icmpTypeCode', 'u16', 1, 32, 'ICMP type << 8 | code'),
  metered('tcpControlBits', 'u16', 1, 6, 'flags seen, source to destination'),
  metered('reverseTcpControlBits', 'u16', 1, 6, 'flags seen, destination to source'),
  metered('minimumTcpWindow', 'u16', 1, undefined, 'smallest window, source'),
  metered('maximumTcpWindow', 'u16', 1, undefined, 'largest window, source'),
  metered('reverseMinimumTcpWindow', 'u16', 1, undefined, 'smallest window, destination'),
  metered('reverseMaximumTcpWindow', 'u16', 1, undefined, 'largest window, destination'),
  metered('tcpMaximumSegmentSize', 'u16', 1, undefined, 'MSS option of the source, 0 unseen'),
  metered('reverseTcpMaximumSegmentSize', 'u16', 1, undefined, 'MSS option of the destination, 0 unseen'),
  metered('protocolIdentifier', 'u8', 1, 4, 'IANA protocol'),
  metered('ipVersion', 'u8', 1, 60, '4, 6, or 0 for non-IP and unparsed'),
  metered('ipClassOfService', 'u8', 1, 5, 'TOS / traffic class, source'),
  metered('reverseIpClassOfService', 'u8', 1, 5, 'TOS / traffic class, destination'),
  metered('minimumTTL', 'u8', 1, 52, 'source'),
  metered('maximumTTL', 'u8', 1, 53, 'source'),
  metered('reverseMinimumTTL', 'u8', 1, 52, 'destination'),
  metered('reverseMaximumTTL', 'u8', 1, 53, 'destination'),
  metered('tcpWindowScale', 'u8', 1, undefined, 'window scale + 1 of the source, 0 unseen'),
  metered('reverseTcpWindowScale', 'u8', 1, undefined, 'window scale + 1 of the destination, 0 unseen'),
  metered(
    'flowEndReason',
    'u8',
    1,
    136,
    '1 idle, 2 active timeout, 3 end detected, 4 forced, 5 lack of resources',
  ),
  metered(
    'biflowDirection',
    'u8',
    1,
    239,
    '0 arbitrary (first seen), 1 initiator by SYN, 3 by better-known port',
  ),
  metered('flowKind', 'u8', 1, undefined, 'enum tg_flow_kind: 0 non-IP, 4, 6, 8 later fragment, 9 unparsed'),
  metered('unparsedReason', 'u8', 1, undefined, 'enum tg_unparsed when flowKind is 9'),
  metered('payloadHead', 'u8', 16, undefined, 'first payload bytes of the source when configured, else zero'),
  metered(
    'reversePayloadHead',
    'u8',
    16,
    undefined,
    'first payload bytes of the destination when configured',
  ),
  annotated('workloadId', 'u32', 1, 'workload of the service endpoint, 0 unclassified'),
  annotated('workloadScore', 'f32', 1, 'similarity of the fingerprint to the workload, -1..1'),
  annotated('reconstructionError', 'f32', 1, 'autoencoder error of the fingerprint: anomaly score'),
  annotated('fingerprint', 'f32', FINGERPRINT_DIMENSIONS, 'unit vector'),
];

export const ELEMENT_BYTES: Readonly<Record<ColumnType, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  i16: 2,
  f32: 4,
};

/** Bytes of a batch slab before its first column. See {@link SLAB_HEADER}. */
export const SLAB_HEADER_BYTES = 64;

/** u32 index of each header word. The native side stores `state` last, with release order. */
export const SLAB_HEADER = {
  state: 0,
  rows: 1,
  capacity: 2,
  sequence: 3,
  packetsLow: 4,
  packetsHigh: 5,
  octetsLow: 6,
  octetsHigh: 7,
  textUsed: 8,
} as const;

export interface ColumnPlacement {
  readonly definition: ColumnDefinition;
  /** Byte offset in the slab. */
  readonly offset: number;
}

/** Octets for what is known of flows' applications (application.ts): so many a row, and at least so many in all. */
export const TEXT_BYTES_PER_ROW = 64;
export const TEXT_BYTES_MINIMUM = 4096;

export interface SlabLayout {
  readonly capacity: number;
  readonly byteLength: number;
  /** Byte offset of a u32 a row: where its text lies in the text area, plus one; 0 = none. */
  readonly textOffsets: number;
  /** Byte offset of the text area: texts with their length, 2 octets, in front. */
  readonly text: number;
  readonly columns: ReadonlyMap<string, ColumnPlacement>;
}

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** Where each column lies in a slab of `capacity` rows: in table order, each aligned to 64 bytes; then the texts. */
export function slabLayout(capacity: number): SlabLayout {
  const columns = new Map<string, ColumnPlacement>();
  let offset = SLAB_HEADER_BYTES;
  for (const definition of FLOW_COLUMNS) {
    columns.set(definition.name, { definition, offset });
    offset += aligned(capacity * definition.width * ELEMENT_BYTES[definition.type]);
  }
  const text = offset + aligned(capacity * 4);
  const byteLength = text + aligned(Math.max(capacity * TEXT_BYTES_PER_ROW, TEXT_BYTES_MINIMUM));
  return { capacity, byteLength, textOffsets: offset, text, columns };
}
