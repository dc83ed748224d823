import type { FlowBatch } from '../../flow/batch.js';
import { mix, signOf } from './hash.js';
import { type RecordColumns, recordColumns, wide } from './record-columns.js';
import { blockOffset, type FeatureSchema } from './schema.js';
import { FIRST_DYNAMIC_PORT, isServicePort, serviceIsDestination } from './services.js';

const TCP = 6;
const UDP = 17;
const SCTP = 132;
const ICMP = 1;
const ICMP6 = 58;

const SIZE_BINS = 16;
const GAP_BINS = 16;
const COARSE_GAPS = 5;
const FLAGS = 8;
const PAYLOADS = 8;
const EXACT_POSITIONS = 4;
const HEAD_BYTES = 16;
const PORT_BITS = 48;
/** Start values of operating systems and what is left of them after a few hops. */
const HOP_STEPS = [0, 1, 4, 32, 64, 128, 254] as const;

const table = (size: number, of: (value: number) => number): Float32Array =>
  Float32Array.from({ length: size }, (_, value) => of(value));
/** log1p of a payload length over that of an Ethernet payload: about 1 for a full segment. */
const PAYLOAD_LOG = table(32769, (value) => Math.log1p(value) / 7.3);
const WORD_LOG = table(65536, (value) => Math.log1p(value) / 11.1);
/** Three +-1 bit words of a port: ports are names, and near numbers must not be near vectors. */
const PORT_WORDS = Uint32Array.from({ length: 65536 * 2 }, (_, i) => mix(i >> 1, 0x51ed + (i & 1)));

interface Offsets {
  readonly protocol: number;
  readonly volume: number;
  readonly sizes: number;
  readonly gaps: number;
  readonly payloads: number;
  readonly flags: number;
  readonly stack: number;
  readonly hops: number;
  readonly payloadShape: number;
  readonly payloadAt: number;
  readonly payloadBag: number;
  readonly stackExact: number;
}

const offsetsOf = (schema: FeatureSchema): Offsets => ({
  protocol: blockOffset(schema, 'protocol'),
  volume: blockOffset(schema, 'volume'),
  sizes: blockOffset(schema, 'sizes'),
  gaps: blockOffset(schema, 'gaps'),
  payloads: blockOffset(schema, 'payloads'),
  flags: blockOffset(schema, 'flags'),
  stack: blockOffset(schema, 'stack'),
  hops: blockOffset(schema, 'hops'),
  payloadShape: blockOffset(schema, 'payloadShape'),
  payloadAt: blockOffset(schema, 'payloadAt'),
  payloadBag: blockOffset(schema, 'payloadBag'),
  stackExact: blockOffset(schema, 'stackExact'),
});

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
  const offsets = offsetsOf(schema);
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

function behaviour(c: RecordColumns, row: number, out: Float32Array, base: number, o: Offsets): void {
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
  out[v + 5] = packets0 > 0 ? Math.log1p(octets0 / packets0) / PAYLOAD_SCALE : 0;
  out[v + 6] = packets1 > 0 ? Math.log1p(octets1 / packets1) / PAYLOAD_SCALE : 0;
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
const PAYLOAD_SCALE = 7.3;

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

/** The first payloads as logarithms, as exact sizes by position and as a bag, and their spread by direction. */
function payloadShape(
  sizes: Int16Array,
  row: number,
  protocol: number,
  out: Float32Array,
  base: number,
  o: Offsets,
): void {
  const at = row * PAYLOADS;
  let filled = 0;
  while (filled < PAYLOADS && sizes[at + filled] !== 0) filled += 1;
  if (filled === 0) return;
  const bagStep = 1 / filled;
  for (let i = 0; i < filled; i += 1) {
    const size = sizes[at + i]!;
    const log = PAYLOAD_LOG[Math.abs(size)]!;
    out[base + o.payloads + i] = size < 0 ? -log : log;
    if (i < EXACT_POSITIONS) {
      const exact = mix(size, protocol * 8 + i);
      out[base + o.payloadAt + (exact & 127)]! += signOf(exact);
    }
    let earlier = 0;
    let later = 0;
    for (let j = 0; j < filled; j += 1) {
      if (sizes[at + j] !== size) continue;
      if (j < i) earlier += 1;
      else later += 1;
    }
    if (earlier === 0) {
      const bag = mix(size, 0x1000 + protocol);
      out[base + o.payloadBag + (bag & 127)]! += signOf(bag) * Math.sqrt(later * bagStep);
    }
  }
  for (let d = 0; d < 2; d += 1)
    spread(sizes, at, filled, d === 0 ? 1 : -1, out, base + o.payloadShape + d * 4);
}

/** Minimum, maximum, mean and distinct share of one direction's first payloads, sizes as logarithms. */
function spread(
  sizes: Int16Array,
  at: number,
  filled: number,
  sign: number,
  out: Float32Array,
  to: number,
): void {
  let least = 0;
  let most = 0;
  let sum = 0;
  let count = 0;
  let distinct = 0;
  for (let i = 0; i < filled; i += 1) {
    const size = sizes[at + i]! * sign;
    if (size <= 0) continue;
    let seen = false;
    for (let j = 0; j < i && !seen; j += 1) seen = sizes[at + j]! * sign === size;
    if (!seen) distinct += 1;
    count += 1;
    sum += PAYLOAD_LOG[size]!;
    if (least === 0 || size < least) least = size;
    if (size > most) most = size;
  }
  if (count === 0) return;
  out[to] = PAYLOAD_LOG[least]!;
  out[to + 1] = PAYLOAD_LOG[most]!;
  out[to + 2] = sum / count;
  out[to + 3] = distinct / count;
}

/** What the two protocol stacks say of themselves: hop limits, windows, segment size, scale, and ICMP or EtherType. */
function stack(c: RecordColumns, row: number, out: Float32Array, base: number, o: Offsets): void {
  const exactAt = base + o.stackExact;
  const protocol = c.protocol[row]!;
  for (let d = 0; d < 2; d += 1) {
    const s = base + o.stack + d * 6;
    const ttl = c.ttlMax[d]![row]!;
    out[s] = ttl / 255;
    out[s + 1] = (c.service[d]![row]! >> 2) / 63;
    const h = base + o.hops + d * HOP_STEPS.length;
    for (let i = 0; i < HOP_STEPS.length; i += 1) if (ttl > HOP_STEPS[i]!) out[h + i] = 1;
    if (protocol !== TCP) continue;
    const windowMax = c.windowMax[d]![row]!;
    const segment = c.segment[d]![row]!;
    const scale = c.scale[d]![row]!;
    out[s + 2] = WORD_LOG[windowMax]!;
    out[s + 3] = WORD_LOG[c.windowMin[d]![row]!]!;
    out[s + 4] = segment / 1460;
    out[s + 5] = scale / 15;
    exactWord(windowMax, 0x200 + d, out, exactAt);
    exactWord(segment, 0x210 + d, out, exactAt);
    exactWord(scale, 0x220 + d, out, exactAt);
  }
  if (protocol === ICMP || protocol === ICMP6) exactWord(c.icmp[row]!, 0x230 + protocol, out, exactAt);
  if (c.version[row] === 0) exactWord(c.etherType[row]!, 0x240, out, exactAt);
  else if (protocol !== TCP && protocol !== UDP) exactWord(protocol, 0x250, out, exactAt);
}

function exactWord(value: number, salt: number, out: Float32Array, to: number): void {
  if (value === 0) return;
  const hash = mix(value, salt);
  out[to + (hash & 63)]! += signOf(hash);
}

/** The service's port: what sort it is, and 48 random bits of it unless it is a dynamic one. */
function port(c: RecordColumns, row: number, out: Float32Array, to: number): void {
  const protocol = c.protocol[row]!;
  if (protocol !== TCP && protocol !== UDP && protocol !== SCTP) return;
  const source = c.ports[0][row]!;
  const destination = c.ports[1][row]!;
  const answers = serviceIsDestination(source, destination);
  const service = answers ? destination : source;
  const other = answers ? source : destination;
  if (service < 1024) out[to] = 1;
  else if (service < FIRST_DYNAMIC_PORT) out[to + 1] = 1;
  else out[to + 2] = 1;
  out[to + 3] = WORD_LOG[service]!;
  if (isServicePort(service)) out[to + 4] = 1;
  if (other < 1024) out[to + 5] = 1;
  if (service === other) out[to + 6] = 1;
  if (answers) out[to + 7] = 1;
  if (service >= FIRST_DYNAMIC_PORT || service === 0) return;
  const low = PORT_WORDS[service * 2]!;
  const high = PORT_WORDS[service * 2 + 1]!;
  for (let i = 0; i < PORT_BITS; i += 1) {
    const bit = i < 32 ? (low >>> i) & 1 : (high >>> (i - 32)) & 1;
    out[to + 8 + i] = bit === 1 ? 1 : -1;
  }
}

const isPrintable = (byte: number): boolean => byte >= 0x20 && byte < 0x7f;

/** The first payload bytes of each direction, where the meter was told to keep them. */
function head(heads: readonly [Uint8Array, Uint8Array], row: number, out: Float32Array, to: number): void {
  for (let d = 0; d < 2; d += 1) {
    const bytes = heads[d]!;
    const at = row * HEAD_BYTES;
    let last = HEAD_BYTES;
    while (last > 0 && bytes[at + last - 1] === 0) last -= 1;
    if (last === 0) continue;
    const dense = to + d * 34;
    let printable = 0;
    let distinct = 0;
    for (let i = 0; i < HEAD_BYTES; i += 1) {
      const byte = bytes[at + i]!;
      out[dense + i] = byte / 255;
      if (isPrintable(byte)) {
        out[dense + HEAD_BYTES + i] = 1;
        printable += 1;
      }
      let earlier = 0;
      while (earlier < i && bytes[at + earlier] !== byte) earlier += 1;
      if (earlier === i) distinct += 1;
      if (i >= last) continue;
      const single = mix(byte, 0x300 + d * HEAD_BYTES + i);
      out[to + 68 + (single % 192)]! += signOf(single);
      if (i + 1 < last) {
        const pair = mix(byte * 256 + bytes[at + i + 1]!, 0x400 + d);
        out[to + 260 + (pair & 63)]! += signOf(pair);
      }
    }
    out[dense + 32] = printable / HEAD_BYTES;
    out[dense + 33] = distinct / HEAD_BYTES;
  }
}
