import { APPLICATION_FIELDS, HEADER_FIELD } from '../flow/application.js';
import { type ColumnDefinition, ELEMENT_BYTES, FLOW_COLUMNS } from '../flow/columns.js';

/** PEN of the reverse elements of biflows (RFC 5103, 6.1). */
export const REVERSE_ENTERPRISE = 29_305;
/** PEN for examples and documentation (RFC 5612): Tidegate has none of its own, so a site puts its own here. */
export const EXAMPLE_ENTERPRISE = 32_473;

/** CERT's, of YAF: it has an element for names that DNS is asked for. */
export const CERT_ENTERPRISE = 6871;

/** Abstract data types by their number in the IANA registry (RFC 5610, 3.1). */
export const DATA_TYPES = {
  octetArray: 0,
  unsigned8: 1,
  unsigned16: 2,
  unsigned32: 3,
  unsigned64: 4,
  float32: 9,
  string: 13,
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
  'tlsServerName',
  'tlsApplicationProtocols',
  'tlsJa4',
  'quicVersion',
  'quicDestinationConnectionIdLength',
  'quicSourceConnectionIdLength',
  'headerFields',
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

/** What is known of a flow's application. Texts have any length. */
export interface NameField {
  readonly name: string;
  /** Number in a row's text, see src/flow/application.ts. */
  readonly number: number;
  readonly elementId: number;
  readonly enterprise: number;
  readonly octets: number;
  readonly dataType: number;
}

/** The length that a template says of a field whose records say it themselves (RFC 7011, 7). */
export const VARIABLE_LENGTH = 0xffff;
const DNS_NAME = 179;

/** Templates: flows over IPv4, over IPv6, and what is no IP. */
export const TEMPLATES = { ipv4: 256, ipv6: 257, other: 258 } as const;
/** Of flows of which names are known, by the template of the others. */
export const NAME_TEMPLATES = { ipv4: 260, ipv6: 261 } as const;
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

const NAME_TYPES = {
  text: { octets: VARIABLE_LENGTH, dataType: DATA_TYPES.string },
  u32: { octets: 4, dataType: DATA_TYPES.unsigned32 },
  u8: { octets: 1, dataType: DATA_TYPES.unsigned8 },
} as const;

/** Fields that a template with names has behind those of {@link fieldsOf}. */
export function nameFields(enterprise: number | undefined): NameField[] {
  const rules = { name: 'headerFields', number: HEADER_FIELD, type: 'text' } as const;
  return [...APPLICATION_FIELDS, rules].flatMap((field): NameField[] => {
    const { name, number, type } = field;
    const shape = { name, number, ...NAME_TYPES[type] };
    if ('ipfixId' in field) return [{ ...shape, elementId: field.ipfixId, enterprise: 0 }];
    if (enterprise === undefined) return [];
    if (name === 'dnsQName') return [{ ...shape, elementId: DNS_NAME, enterprise: CERT_ENTERPRISE }];
    const own = (OWN_ELEMENTS as readonly string[]).indexOf(name) + 1;
    return [{ ...shape, elementId: own, enterprise }];
  });
}
