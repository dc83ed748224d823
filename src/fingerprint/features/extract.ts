import type { FlowBatch } from '../../flow/batch.js';
import { head } from './head-features.js';
import { PAYLOAD_LOG_SCALE } from './logarithms.js';
import { payloadShape } from './payload-features.js';
import { port } from './port-features.js';
import { ICMP, ICMP6, TCP, UDP } from './protocols.js';
import { type RecordColumns, recordColumns, wide } from './record-columns.js';
import { type BlockOffsets, blockOffset, blockOffsets, type FeatureSchema } from './schema.js';
import { stack } from './stack-features.js';

const SIZE_BINS = 16;
const GAP_BINS = 16;
const COARSE_GAPS = 5;
const FLAGS = 8;

/**
 * Writes one row of `schema.dimensions` features for each record of the batch into `out`, from the record's columns
 * alone: counts and times as logarithms, histograms and flags as fractions, exact sizes as signed hashes, the service
 * port as random bits. Nothing is fitted here; scaling is part of the model. Every value is finite, whatever
 * the counters hold.
 *
 * @param from first row of the batch, @param count rows to write
 * @throws RangeError when `out` is too short.
 */
export function extractFeatures(
  batch: FlowBatch,
  out: Float32Array,
  schema: FeatureSchema,
  from = 0,
  count = batch.rows - from,
): void {
  const width = schema.dimensions;
  if (out.length < count * width)
    throw new RangeError(`features of ${count} rows need ${count * width} floats`);
  const columns = recordColumns(batch);
  const offsets = blockOffsets(schema);
  const portClass = schema.variant === 'noport' ? -1 : blockOffset(schema, 'portClass');
  const bytes = schema.variant === 'port+bytes' ? blockOffset(schema, 'bytes') : -1;
  out.fill(0, 0, count * width);
  for (let i = 0; i < count; i += 1) {
    const row = from + i;
    const base = i * width;
    behaviour(columns, row, out, base, offsets);
    payloadShape(columns.payloads, row, columns.protocol[row]!, out, base, offsets);
    stack(columns, row, out, base, offsets);
    if (portClass >= 0) port(columns, row, out, base + portClass);
    if (bytes >= 0) head(columns.head, row, out, base + bytes);
  }
}

/** Multicast (224/4, ff00::/8) or the all-ones address. */
function isGroup(address: Uint8Array, at: number, version: number): boolean {
  if (version === 6) return address[at] === 0xff;
  return version === 4 && (address[at + 12]! & 0xf0) >= 0xe0;
}

function behaviour(c: RecordColumns, row: number, out: Float32Array, base: number, o: BlockOffsets): void {
  const protocol = c.protocol[row]!;
  const p = base + o.protocol;
  if (protocol === TCP) out[p] = 1;
  else if (protocol === UDP) out[p + 1] = 1;
  else if (protocol === ICMP || protocol === ICMP6) out[p + 2] = 1;
  else out[p + 5] = 1;
  if (c.version[row] === 6) out[p + 3] = 1;
  if (isGroup(c.addresses[1], row * 16, c.version[row]!)) out[p + 4] = 1;

  const octets0 = wide(c.octets[0], row);
  const octets1 = wide(c.octets[1], row);
  const packets0 = wide(c.packets[0], row);
  const packets1 = wide(c.packets[1], row);
  const seconds = Math.max(0, wide(c.end, row) - wide(c.start, row)) / 1e9;
  const v = base + o.volume;
  out[v] = Math.log1p(octets0) / 12;
  out[v + 1] = Math.log1p(octets1) / 12;
  out[v + 2] = Math.log1p(packets0) / 6;
  out[v + 3] = Math.log1p(packets1) / 6;
  out[v + 4] = Math.log1p(seconds * 1000) / 10;
  out[v + 5] = packets0 > 0 ? Math.log1p(octets0 / packets0) / PAYLOAD_LOG_SCALE : 0;
  out[v + 6] = packets1 > 0 ? Math.log1p(octets1 / packets1) / PAYLOAD_LOG_SCALE : 0;
  out[v + 7] = packets0 / Math.max(1, packets0 + packets1);
  out[v + 8] = octets0 / Math.max(1, octets0 + octets1);
  out[v + 9] = Math.log1p((octets0 + octets1) / Math.max(seconds, 0.001)) / 15;

  for (let d = 0; d < 2; d += 1) {
    const packets = d === 0 ? packets0 : packets1;
    if (packets <= 0) continue;
    fractions(c.sizes[d]!, row * SIZE_BINS, SIZE_BINS, out, base + o.sizes + d * SIZE_BINS);
    coarseGaps(c.gaps[d]!, row * GAP_BINS, out, base + o.gaps + d * COARSE_GAPS);
    const flags = c.flags[d]!;
    const f = base + o.flags + d * FLAGS;
    for (let i = 0; i < FLAGS; i += 1) out[f + i] = Math.min(1, flags[row * FLAGS + i]! / packets);
  }
}

function fractions(bins: Uint32Array, at: number, count: number, out: Float32Array, to: number): void {
  let sum = 0;
  for (let i = 0; i < count; i += 1) sum += bins[at + i]!;
  if (sum === 0) return;
  for (let i = 0; i < count; i += 1) out[to + i] = bins[at + i]! / sum;
}

/** Fifteen gap bins in five groups of three (the sixteenth joins the last): fine gaps only describe the network. */
function coarseGaps(bins: Uint32Array, at: number, out: Float32Array, to: number): void {
  let sum = 0;
  for (let i = 0; i < GAP_BINS; i += 1) sum += bins[at + i]!;
  if (sum === 0) return;
  for (let i = 0; i < GAP_BINS; i += 1) {
    const group = Math.min(COARSE_GAPS - 1, Math.trunc(i / 3));
    out[to + group]! += bins[at + i]! / sum;
  }
}
