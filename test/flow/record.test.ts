import { describe, expect, test } from 'vitest';
import { formatAddress, formatIPv6 } from '../../src/flow/address.js';
import { FlowBatch } from '../../src/flow/batch.js';
import { ELEMENT_BYTES, FLOW_COLUMNS, SLAB_HEADER, slabLayout } from '../../src/flow/columns.js';
import { RecordReader } from '../../src/flow/record.js';
import { ipv6Bytes } from '../bpf/packet.js';

const v6 = (text: string): Uint8Array => Uint8Array.from(ipv6Bytes(text));

describe('addresses as text', () => {
  // The examples of RFC 5952.
  test.each([
    ['2001:db8::1', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['fe80::', 'fe80::'],
  ])('%s', (text, canonical) => {
    expect(formatIPv6(v6(text))).toBe(canonical);
  });

  test('an IPv4-mapped address is an IPv4 address', () => {
    expect(formatAddress(Uint8Array.from([...Array(10).fill(0), 255, 255, 192, 0, 2, 1]))).toBe('192.0.2.1');
    expect(formatAddress(v6('2001:db8::1'))).toBe('2001:db8::1');
  });
});

function batchOf(values: Readonly<Record<string, readonly (number | bigint)[]>>): FlowBatch {
  const layout = slabLayout(4);
  const buffer = new SharedArrayBuffer(layout.byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.rows] = 1;
  header[SLAB_HEADER.capacity] = 4;
  const batch = new FlowBatch(buffer);
  for (const [name, numbers] of Object.entries(values)) {
    const { type } = FLOW_COLUMNS.find((column) => column.name === name)!;
    const view = batch.column(name, type);
    for (const [i, value] of numbers.entries()) view[i] = value as never;
  }
  return batch;
}

describe('rows as objects', () => {
  test('names are IPFIX elements; what has no meaning for the flow is absent', () => {
    const record = new RecordReader(
      batchOf({
        ipVersion: [6],
        flowKind: [6],
        protocolIdentifier: [17],
        sourceIPv6Address: [...v6('2001:db8::1')],
        destinationIPv6Address: [...v6('2001:db8::2')],
        sourceTransportPort: [5000],
        destinationTransportPort: [53],
        packetDeltaCount: [3n],
        packetSizeBins: [1, 2],
      }),
    ).record(0);
    expect(record).toMatchObject({
      sourceIPv6Address: '2001:db8::1',
      destinationIPv6Address: '2001:db8::2',
      sourceTransportPort: 5000,
      packetDeltaCount: 3,
      reversePacketDeltaCount: 0,
      flowKind: 'ipv6',
    });
    expect(record.packetSizeBins).toEqual([1, 2, ...Array(14).fill(0)]);
    for (const absent of [
      'sourceIPv4Address',
      'tcpFlagCounts',
      'icmpTypeCode',
      'dot1qVlanId',
      'tunnelId',
      'fingerprint',
    ])
      expect(record).not.toHaveProperty(absent);
  });

  test('64-bit values are exact', () => {
    const record = new RecordReader(
      batchOf({ flowStartNanoseconds: [1_767_225_600_123_456_789n], octetDeltaCount: [2n ** 53n - 1n] }),
    ).record(0);
    expect(record.flowStartNanoseconds).toBe('1767225600123456789');
    expect(record.octetDeltaCount).toBe(2 ** 53 - 1);
  });

  test('columns do not overlap and start at multiples of 64', () => {
    const { columns, byteLength } = slabLayout(1000);
    let end = 0;
    for (const { definition, offset } of columns.values()) {
      expect(offset % 64).toBe(0);
      expect(offset).toBeGreaterThanOrEqual(end);
      end = offset + 1000 * definition.width * ELEMENT_BYTES[definition.type];
    }
    expect(end).toBeLessThanOrEqual(byteLength);
  });
});
