import { FlowBatch } from '../flow/batch.js';
import { ELEMENT_BYTES, FLOW_COLUMNS, SLAB_HEADER, slabLayout } from '../flow/columns.js';
import type { StoreClient } from './client.js';
import { storeError } from './errors.js';

export interface FlowSampleOptions {
  readonly gateway: string;
  /** Records that ended in [sinceMs, untilMs), Unix time. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** At most `perGroup` records of one block of time and, by `groupBy`, one service endpoint or one workload. */
  readonly blockMs: number;
  readonly perGroup: number;
  readonly groupBy: 'endpoint' | 'workload';
  /** Records at most. */
  readonly limit: number;
  readonly timeoutMs?: number;
}

const GROUPS = {
  endpoint: 'destinationIPv6Address, destinationTransportPort, protocolIdentifier',
  workload: 'workloadId',
} as const;

const DEFAULT_TIMEOUT_MS = 300_000;

/**
 * A sample of stored flow records as one batch, the same columns bit for bit that the meter filled: what was made from
 * the live batch can be made again. Records that were stored without their histograms are left out. The sample is the
 * same for the same history.
 * @throws TG_STORE_QUERY, TG_STORE_UNREACHABLE
 */
export async function readFlowSample(
  client: Pick<StoreClient, 'rowBinary'>,
  options: FlowSampleOptions,
): Promise<FlowBatch> {
  const { gateway, sinceMs, untilMs, blockMs, perGroup, limit } = options;
  const sql = `SELECT ${FLOW_COLUMNS.map((column) => column.name).join(', ')} FROM flows
    WHERE gateway = {gateway:String} AND (flowEndNanoseconds, flowId) IN (
      SELECT flowEndNanoseconds, flowId FROM flows
      WHERE gateway = {gateway:String} AND flowKind IN (4, 6) AND packetSizeBins.size0 > 0
        AND flowEndNanoseconds >= fromUnixTimestamp64Milli({since:Int64})
        AND flowEndNanoseconds < fromUnixTimestamp64Milli({until:Int64})
      ORDER BY cityHash64(flowId, flowEndNanoseconds)
      LIMIT {perGroup:UInt32} BY intDiv(toUnixTimestamp64Milli(flowEndNanoseconds), {block:UInt64}), ${GROUPS[options.groupBy]}
      LIMIT {limit:UInt32}
    ) ORDER BY flowEndNanoseconds, flowId LIMIT {limit:UInt32}`;
  const rows = await client.rowBinary(sql, {
    params: {
      gateway,
      since: Math.trunc(sinceMs),
      until: Math.trunc(untilMs),
      block: Math.max(1, Math.trunc(blockMs)),
      perGroup,
      limit,
    },
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  });
  return batchOfRows(rows);
}

/** A batch from RowBinary rows of all flow columns, in their order. */
function batchOfRows(bytes: Buffer): FlowBatch {
  const starts = rowStarts(bytes);
  const { byteLength } = slabLayout(Math.max(1, starts.length));
  const buffer = new SharedArrayBuffer(byteLength);
  const header = new Uint32Array(buffer, 0, 16);
  header[SLAB_HEADER.capacity] = Math.max(1, starts.length);
  header[SLAB_HEADER.rows] = starts.length;
  const batch = new FlowBatch(buffer);
  const to = new Uint8Array(buffer);
  let row = 0;
  for (const start of starts) {
    let at = start;
    for (const { name, type, width } of FLOW_COLUMNS) {
      const octets = width * ELEMENT_BYTES[type];
      let stored = octets;
      if (isArray(name, width)) {
        stored = bytes[at]! * ELEMENT_BYTES[type];
        at += 1;
      }
      to.set(bytes.subarray(at, at + stored), batch.layout.columns.get(name)!.offset + row * octets);
      at += stored;
    }
    row += 1;
  }
  return batch;
}

/** Addresses and payload heads are stored as values of 16 octets, other columns of several elements as arrays. */
const isArray = (name: string, width: number): boolean =>
  width > 1 && !name.endsWith('IPv6Address') && !name.endsWith('ayloadHead');

/** Where each row begins: arrays may be empty, so rows differ in length. */
function rowStarts(bytes: Buffer): number[] {
  const starts: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    starts.push(at);
    for (const { name, type, width } of FLOW_COLUMNS) {
      if (!isArray(name, width)) {
        at += width * ELEMENT_BYTES[type];
        continue;
      }
      const count = bytes[at];
      // A length of one octet is enough for every flow column.
      if (count === undefined || count > width)
        throw storeError('TG_STORE_QUERY', {
          clickhouseCode: 0,
          reason: `${name} is not what was asked for`,
        });
      at += 1 + count * ELEMENT_BYTES[type];
    }
  }
  if (at !== bytes.length)
    throw storeError('TG_STORE_QUERY', { clickhouseCode: 0, reason: 'the answer was cut off' });
  return starts;
}
