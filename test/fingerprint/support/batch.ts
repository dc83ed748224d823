import { FlowBatch } from '../../../src/flow/batch.js';
import { SLAB_HEADER, slabLayout } from '../../../src/flow/columns.js';

/** A flow record for tests; what is left out is zero. */
export interface TestFlow {
  readonly protocol?: number;
  readonly source?: readonly number[];
  readonly destination?: readonly number[];
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly octets?: readonly [number, number];
  readonly packets?: readonly [number, number];
  /** Bin → packets. */
  readonly sizes?: readonly [Readonly<Record<number, number>>, Readonly<Record<number, number>>];
  readonly payloads?: readonly number[];
  readonly durationMs?: number;
  readonly startMs?: number;
  readonly kind?: number;
  readonly etherType?: number;
  readonly direction?: number;
}

const SIZE_BINS = 16;
const PAYLOADS = 8;

/** ::ffff:a.b.c.d */
function mapped(address: readonly number[]): Uint8Array {
  const out = new Uint8Array(16);
  out.set([0xff, 0xff], 10);
  out.set(address, 12);
  return out;
}

/** A batch as the meter would hand it over. */
export function makeBatch(flows: readonly TestFlow[]): FlowBatch {
  const capacity = Math.max(1, flows.length);
  const buffer = new SharedArrayBuffer(slabLayout(capacity).byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.capacity] = capacity;
  header[SLAB_HEADER.rows] = flows.length;
  const batch = new FlowBatch(buffer);
  flows.forEach((flow, row) => {
    const startMs = flow.startMs ?? 1_000_000;
    batch.column('flowStartNanoseconds', 'u64')[row] = BigInt(startMs) * 1_000_000n;
    batch.column('flowEndNanoseconds', 'u64')[row] = BigInt(startMs + (flow.durationMs ?? 100)) * 1_000_000n;
    batch.column('octetDeltaCount', 'u64')[row] = BigInt(flow.octets?.[0] ?? 400);
    batch.column('reverseOctetDeltaCount', 'u64')[row] = BigInt(flow.octets?.[1] ?? 400);
    batch.column('packetDeltaCount', 'u64')[row] = BigInt(flow.packets?.[0] ?? 4);
    batch.column('reversePacketDeltaCount', 'u64')[row] = BigInt(flow.packets?.[1] ?? 4);
    batch.column('sourceIPv6Address', 'u8').set(mapped(flow.source ?? [10, 0, 0, 1]), row * 16);
    batch.column('destinationIPv6Address', 'u8').set(mapped(flow.destination ?? [192, 0, 2, 1]), row * 16);
    batch.column('sourceTransportPort', 'u16')[row] = flow.sourcePort ?? 50_000;
    batch.column('destinationTransportPort', 'u16')[row] = flow.destinationPort ?? 443;
    batch.column('protocolIdentifier', 'u8')[row] = flow.protocol ?? 6;
    batch.column('flowKind', 'u8')[row] = flow.kind ?? 4;
    batch.column('ipVersion', 'u8')[row] = flow.kind === undefined || flow.kind === 4 ? 4 : 0;
    batch.column('ethernetType', 'u16')[row] = flow.etherType ?? 0x0800;
    batch.column('biflowDirection', 'u8')[row] = flow.direction ?? 1;
    batch.column('minimumTTL', 'u8')[row] = 64;
    batch.column('maximumTTL', 'u8')[row] = 64;
    batch.column('reverseMaximumTTL', 'u8')[row] = 64;
    for (const [d, name] of (['packetSizeBins', 'reversePacketSizeBins'] as const).entries())
      for (const [bin, count] of Object.entries(flow.sizes?.[d] ?? { 1: 4 }))
        batch.column(name, 'u32')[row * SIZE_BINS + Number(bin)] = count;
    batch
      .column('firstPayloadSizes', 'i16')
      .set((flow.payloads ?? [100, -100]).slice(0, PAYLOADS), row * PAYLOADS);
  });
  return batch;
}

export type ServiceKind = 'backup' | 'api' | 'streaming' | 'dns' | 'batch';

/** Flows of one kind of service, each a little different by `variant`. */
export function serviceFlow(kind: ServiceKind, variant: number, at: Partial<TestFlow> = {}): TestFlow {
  const spread = 1 + (variant % 7) / 20;
  const source = [10, 0, variant % 4, 10 + (variant % 100)];
  const sourcePort = 40_000 + (variant % 10_000);
  const base = { source, sourcePort, startMs: 1_000_000 + variant };
  const n = (value: number): number => Math.round(value * spread);
  switch (kind) {
    case 'backup':
      return {
        ...base,
        destinationPort: 873,
        octets: [n(8e6), n(9e4)],
        packets: [n(5600), n(1700)],
        sizes: [{ 15: n(5600) }, { 0: n(1700) }],
        payloads: [120, -90, 1448, 1448, 1448, 1448, 1448, 1448],
        durationMs: n(6000),
        ...at,
      };
    case 'api':
      return {
        ...base,
        destinationPort: 8443,
        octets: [n(900), n(1500)],
        packets: [6, 6],
        sizes: [
          { 0: 3, 4: 2, 5: 1 },
          { 0: 2, 6: 2, 8: 2 },
        ],
        payloads: [n(220), -n(640), n(180), -n(700)],
        durationMs: n(40),
        ...at,
      };
    case 'streaming':
      return {
        ...base,
        destinationPort: 8554,
        octets: [n(2e4), n(3e6)],
        packets: [n(400), n(2100)],
        sizes: [{ 0: n(400) }, { 14: n(500), 15: n(1600) }],
        payloads: [n(300), -1448, -1448, -1448, -1448, -1448, -1448, -1448],
        durationMs: n(20_000),
        ...at,
      };
    case 'dns':
      return {
        ...base,
        protocol: 17,
        direction: 0,
        destinationPort: 53,
        octets: [n(64), n(140)],
        packets: [1, 1],
        sizes: [{ 1: 1 }, { 3: 1 }],
        payloads: [n(36), -n(110)],
        durationMs: 5,
        ...at,
      };
    case 'batch':
      return {
        ...base,
        destinationPort: 9092,
        octets: [n(2e6), n(4e4)],
        packets: [n(1400), n(700)],
        sizes: [{ 13: n(400), 15: n(1000) }, { 0: n(700) }],
        payloads: [64, -32, 1200, 1448, 1448, -20, 1448, 1448],
        durationMs: n(1500),
        ...at,
      };
  }
}
