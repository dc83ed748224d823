import { formatIPv4, formatIPv6 } from '../../flow/address.js';
import { ApplicationReader } from '../../flow/application.js';
import type { FlowBatch } from '../../flow/batch.js';
import { FINGERPRINT_DIMENSIONS } from '../../flow/columns.js';
import { mix } from '../features/hash.js';
import { ICMP, ICMP6 } from '../features/protocols.js';
import { type RecordColumns, recordColumns, wide } from '../features/record-columns.js';
import { serviceIsDestination } from '../features/services.js';
import type { EndpointGroups, EndpointSummary } from './types.js';

const SIZE_BINS = 16;
const ADDRESS_WORDS = 4;
const KIND_NON_IP = 0;
const KIND_UNPARSED = 9;
const DIRECTION_BY_SYN = 1;
const NS_PER_MS = 1e6;
const DIMENSIONS = FINGERPRINT_DIMENSIONS;

/** One endpoint under construction. */
class Accumulator {
  flows = 0;
  octets = 0;
  packets = 0;
  reverseOctets = 0;
  reversePackets = 0;
  durationMs = 0;
  firstMs = Number.POSITIVE_INFINITY;
  lastMs = 0;
  error = 0;
  readonly pooled = new Float32Array(3 * DIMENSIONS);
  readonly behaviour = new Float32Array(DIMENSIONS);
  readonly sizes = new Float32Array(2 * SIZE_BINS);

  constructor(
    readonly row: number,
    readonly serverName: string,
  ) {
    this.pooled.fill(Number.NEGATIVE_INFINITY, DIMENSIONS, 2 * DIMENSIONS);
    this.pooled.fill(Number.POSITIVE_INFINITY, 2 * DIMENSIONS);
  }
}

/** True when the destination of the record is the side that answers. */
const destinationAnswers = (c: RecordColumns, row: number): boolean =>
  c.direction[row] === DIRECTION_BY_SYN || serviceIsDestination(c.ports[0][row]!, c.ports[1][row]!);

/** Service port of a row; EtherType of non-IP, the reason of unparsed ones. */
function portOf(c: RecordColumns, row: number, answers: boolean): number {
  const kind = c.kind[row]!;
  if (kind === KIND_NON_IP) return c.etherType[row]!;
  if (kind === KIND_UNPARSED) return c.unparsed[row]!;
  return c.ports[answers ? 1 : 0][row]!;
}

/**
 * Groups the rows of a batch by service endpoint and pools what they say, without an object per row. The
 * batch's `fingerprint` and `reconstructionError` columns must be filled.
 *
 * @param behaviours the rows' vectors without their ports, as the encoder gave them
 */
export function groupByEndpoint(batch: FlowBatch, behaviours?: Float32Array): EndpointGroups {
  const c = recordColumns(batch);
  const fingerprints = batch.column('fingerprint', 'f32');
  const errors = batch.column('reconstructionError', 'f32');
  const words = c.addresses.map(
    (bytes) => new Uint32Array(batch.buffer, bytes.byteOffset, batch.rows * ADDRESS_WORDS),
  );
  const { rows } = batch;
  const endpointOfRow = new Uint32Array(rows);
  // Open addressing over row numbers + 1: no key objects.
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(2, rows * 2))));
  const found: Accumulator[] = [];
  const application = new ApplicationReader(batch);

  const sameEndpoint = ({ row: a, serverName }: Accumulator, b: number, name: string): boolean => {
    if (serverName !== name) return false;
    const answersA = destinationAnswers(c, a);
    const answersB = destinationAnswers(c, b);
    if (c.protocol[a] !== c.protocol[b] || c.kind[a] !== c.kind[b]) return false;
    if (portOf(c, a, answersA) !== portOf(c, b, answersB)) return false;
    const left = words[answersA ? 1 : 0]!;
    const right = words[answersB ? 1 : 0]!;
    for (let i = 0; i < ADDRESS_WORDS; i += 1)
      if (left[a * ADDRESS_WORDS + i] !== right[b * ADDRESS_WORDS + i]) return false;
    return true;
  };

  for (let row = 0; row < rows; row += 1) {
    const answers = destinationAnswers(c, row);
    const address = words[answers ? 1 : 0]!;
    let hash = mix(portOf(c, row, answers), c.protocol[row]! * 16 + c.kind[row]!);
    for (let i = 0; i < ADDRESS_WORDS; i += 1) hash = mix(hash, address[row * ADDRESS_WORDS + i]!);
    const name = application.has(row) ? application.serverName(row) : '';
    for (let i = 0; i < name.length; i += 1) hash = mix(hash, name.charCodeAt(i));
    let slot = hash & (slots.length - 1);
    while (slots[slot] !== 0 && !sameEndpoint(found[slots[slot]! - 1]!, row, name))
      slot = (slot + 1) & (slots.length - 1);
    if (slots[slot] === 0) {
      found.push(new Accumulator(row, name));
      slots[slot] = found.length;
    }
    const index = slots[slot]! - 1;
    endpointOfRow[row] = index;
    const one = found[index]!;
    accumulate(one, c, row, answers, fingerprints, errors);
    if (behaviours !== undefined)
      for (let i = 0; i < DIMENSIONS; i += 1) one.behaviour[i]! += behaviours[row * DIMENSIONS + i]!;
  }
  return { endpointOfRow, endpoints: found.map((one) => summary(one, c, behaviours !== undefined)) };
}

function accumulate(
  one: Accumulator,
  c: RecordColumns,
  row: number,
  answers: boolean,
  fingerprints: Float32Array,
  errors: Float32Array,
): void {
  const [out, back] = answers ? [0, 1] : [1, 0];
  one.flows += 1;
  one.octets += wide(c.octets[out]!, row);
  one.reverseOctets += wide(c.octets[back]!, row);
  one.packets += wide(c.packets[out]!, row);
  one.reversePackets += wide(c.packets[back]!, row);
  const firstMs = wide(c.start, row) / NS_PER_MS;
  const lastMs = wide(c.end, row) / NS_PER_MS;
  one.durationMs += Math.max(0, lastMs - firstMs);
  one.firstMs = Math.min(one.firstMs, firstMs);
  one.lastMs = Math.max(one.lastMs, lastMs);
  one.error += errors[row]!;
  for (let i = 0; i < SIZE_BINS; i += 1) {
    one.sizes[i]! += c.sizes[out]![row * SIZE_BINS + i]!;
    one.sizes[SIZE_BINS + i]! += c.sizes[back]![row * SIZE_BINS + i]!;
  }
  const { pooled } = one;
  for (let i = 0; i < DIMENSIONS; i += 1) {
    const value = fingerprints[row * DIMENSIONS + i]!;
    pooled[i]! += value;
    if (value > pooled[DIMENSIONS + i]!) pooled[DIMENSIONS + i] = value;
    if (value < pooled[2 * DIMENSIONS + i]!) pooled[2 * DIMENSIONS + i] = value;
  }
}

function summary(one: Accumulator, c: RecordColumns, hasBehaviour: boolean): EndpointSummary {
  const { row, flows, pooled, behaviour } = one;
  for (let i = 0; i < DIMENSIONS; i += 1) pooled[i]! /= flows;
  const answers = destinationAnswers(c, row);
  const kind = c.kind[row]!;
  const protocol = kind === KIND_NON_IP || kind === KIND_UNPARSED ? 0 : c.protocol[row]!;
  const port = portOf(c, row, answers);
  const addressBytes = c.addresses[answers ? 1 : 0];
  const version = c.version[row]!;
  const address =
    kind === KIND_NON_IP || kind === KIND_UNPARSED
      ? ''
      : version === 4
        ? formatIPv4(addressBytes, row * 16)
        : formatIPv6(addressBytes, row * 16);
  const key =
    kind === KIND_NON_IP
      ? `ethernet/${port.toString(16).padStart(4, '0')}`
      : kind === KIND_UNPARSED
        ? `unparsed/${port}`
        : protocol === ICMP || protocol === ICMP6
          ? `icmp/${address}`
          : `${protocol}/${port}/${address}${one.serverName === '' ? '' : `/${one.serverName}`}`;
  return {
    key,
    address,
    port: kind === KIND_UNPARSED ? 0 : port,
    protocol,
    ...(one.serverName === '' ? {} : { serverName: one.serverName }),
    flows,
    octets: one.octets,
    packets: one.packets,
    reverseOctets: one.reverseOctets,
    reversePackets: one.reversePackets,
    durationMs: one.durationMs,
    firstMs: one.firstMs,
    lastMs: one.lastMs,
    pooled,
    ...(hasBehaviour ? { behaviour: behaviour.map((sum) => sum / flows) } : {}),
    sizeHistogram: one.sizes,
    reconstructionError: one.error / flows,
  };
}
