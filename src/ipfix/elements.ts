import { type ColumnDefinition, ELEMENT_BYTES, FLOW_COLUMNS } from '../flow/columns.js';

/** PEN of the reverse elements of biflows (RFC 5103, 6.1). */
export const REVERSE_ENTERPRISE = 29_305;
/** PEN for examples and documentation (RFC 5612): Tidegate has none of its own, so a site puts its own here. */
export const EXAMPLE_ENTERPRISE = 32_473;

/** Abstract data types by their number in the IANA registry (RFC 5610, 3.1). */
export const DATA_TYPES = {
  octetArray: 0,
  unsigned8: 1,
  unsigned16: 2,
  unsigned32: 3,
  unsigned64: 4,
  float32: 9,
} as const;

/**
 * Numbers of the elements that IANA has none for, within the configured enterprise. A number is never given to another
 * element: new ones go to the end.
 */
const OWN_ELEMENTS = [
  'tunnelId',
  'tcpHandshakeRttMicroseconds',
  'packetSizeBins',
  'reversePacketSizeBins',
  'interArrivalBins',
  'reverseInterArrivalBins',
  'tcpFlagCounts',
  'reverseTcpFlagCounts',
  'firstPayloadSizes',
  'minimumTcpWindow',
  'maximumTcpWindow',
  'reverseMinimumTcpWindow',
  'reverseMaximumTcpWindow',
  'tcpMaximumSegmentSize',
  'reverseTcpMaximumSegmentSize',
  'tcpWindowScale',
  'reverseTcpWindowScale',
  'flowKind',
  'unparsedReason',
  'workloadId',
  'workloadScore',
  'reconstructionError',
  'fingerprint',
] as const;

export interface Field {
  /** Column that the value comes from. */
  readonly column: ColumnDefinition;
  readonly name: string;
  readonly elementId: number;
  /** 0 = IANA's. */
  readonly enterprise: number;
  /** Octets on the wire; element values are big-endian. */
  readonly octets: number;
  readonly dataType: number;
  readonly kind: 'plain' | 'milliseconds' | 'ipv4';
}

/** Templates: flows over IPv4, over IPv6, and what is no IP. */
export const TEMPLATES = { ipv4: 256, ipv6: 257, other: 258 } as const;
export type TemplateName = keyof typeof TEMPLATES;

const typeOf = ({ type, width }: ColumnDefinition): number =>
  width > 1 || type === 'i16'
    ? DATA_TYPES.octetArray
    : {
        u8: DATA_TYPES.unsigned8,
        u16: DATA_TYPES.unsigned16,
        u32: DATA_TYPES.unsigned32,
        u64: DATA_TYPES.unsigned64,
        f32: DATA_TYPES.float32,
      }[type];

/** IPv6's twins of elements whose column is shared. */
const ICMP_TYPE_CODE_IPV6 = 139;
const IPV4_ELEMENTS: Readonly<Record<string, number>> = { sourceIPv6Address: 8, destinationIPv6Address: 12 };
const MILLISECONDS: Readonly<Record<string, number>> = { flowStartNanoseconds: 152, flowEndNanoseconds: 153 };

/** Fields of a template, in the order of the column table. */
export function fieldsOf(template: TemplateName, enterprise: number | undefined): Field[] {
  return FLOW_COLUMNS.flatMap((column): Field[] => {
    const { name, ipfixId } = column;
    const octets = ELEMENT_BYTES[column.type] * column.width;
    const plain = { column, name, octets, dataType: typeOf(column), kind: 'plain' as const };
    if (MILLISECONDS[name] !== undefined) {
      const millis = name.replace('Nanoseconds', 'Milliseconds');
      return [{ ...plain, name: millis, elementId: MILLISECONDS[name], enterprise: 0, kind: 'milliseconds' }];
    }
    if (IPV4_ELEMENTS[name] !== undefined) {
      if (template === 'other') return [];
      if (template === 'ipv6') return [{ ...plain, elementId: ipfixId ?? 0, enterprise: 0 }];
      return [
        {
          ...plain,
          name: name.replace('IPv6', 'IPv4'),
          octets: 4,
          elementId: IPV4_ELEMENTS[name],
          enterprise: 0,
          kind: 'ipv4',
        },
      ];
    }
    if (name === 'icmpTypeCode' && template === 'ipv6')
      return [{ ...plain, elementId: ICMP_TYPE_CODE_IPV6, enterprise: 0 }];
    if (ipfixId !== undefined)
      return [
        { ...plain, elementId: ipfixId, enterprise: name.startsWith('reverse') ? REVERSE_ENTERPRISE : 0 },
      ];
    const own = (OWN_ELEMENTS as readonly string[]).indexOf(name) + 1;
    return enterprise === undefined || own === 0 ? [] : [{ ...plain, elementId: own, enterprise }];
  });
}
