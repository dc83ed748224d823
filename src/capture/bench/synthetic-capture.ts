import { closeSync, openSync, writeSync } from 'node:fs';

/** What a synthetic capture holds. Two captures of equal settings are equal, octet for octet. */
export interface SyntheticCapture {
  readonly packets: number;
  readonly flows: number;
  /** Exponent of the flows' popularity: flow k gets a share ∝ 1 / k^exponent; 0 = all equal. */
  readonly zipfExponent: number;
  readonly seed: number;
}

export interface WrittenCapture {
  readonly packets: number;
  readonly octets: number;
  /** Flows that got at least one packet. */
  readonly flows: number;
  readonly fileBytes: number;
}

const FILE_HEADER = 24;
const PACKET_HEADER = 16;
const CHUNK_BYTES = 1 << 22;
const MAX_FRAME = 1514;
/** Frame lengths and their shares: small, medium and full packets; 560 octets on average. */
const SIZES: readonly (readonly [number, number])[] = [
  [64, 0.5],
  [594, 0.25],
  [MAX_FRAME, 0.25],
];
const IPV6_SHARE = 0.15;
const UDP_SHARE = 0.2;
const MEAN_GAP_US = 10;
/** 2026-01-01T00:00:00Z */
const START_US = 1_767_225_600_000_000;

/** xorshift128+ is not needed: a 32-bit generator (Steele & Vigna's splitmix, 32-bit variant) in [0, 1). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Cumulative popularity of the flows. */
function popularity(flows: number, exponent: number): Float64Array {
  const cumulative = new Float64Array(flows);
  let sum = 0;
  for (let k = 0; k < flows; k += 1) {
    sum += (k + 1) ** -exponent;
    cumulative[k] = sum;
  }
  return cumulative.map((value) => value / sum);
}

function pick(cumulative: Float64Array, at: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cumulative[middle]! < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The headers of a flow's packets: Ethernet, IPv4 or IPv6, TCP or UDP; lengths are filled in per packet. */
function headersOf(flow: number, random: () => number, reverse: boolean): Buffer {
  const v6 = random() < IPV6_SHARE;
  const udp = random() < UDP_SHARE;
  const headers = Buffer.alloc(14 + (v6 ? 40 : 20) + (udp ? 8 : 20));
  const client = (0x0a000000 | (flow & 0xffffff)) >>> 0;
  const server = (0xc6336400 | (flow % 251)) >>> 0;
  const [source, destination] = reverse ? [server, client] : [client, server];
  const clientPort = 32768 + (flow % 28000);
  const serverPort = [443, 80, 53, 8443, 5432][flow % 5]!;
  const [sport, dport] = reverse ? [serverPort, clientPort] : [clientPort, serverPort];
  headers.writeUInt16BE(v6 ? 0x86dd : 0x0800, 12);
  if (v6) {
    headers[14] = 0x60;
    headers[20] = udp ? 17 : 6;
    headers[21] = 64;
    headers.writeUInt32BE(0x20010db8, 22);
    headers.writeUInt32BE(source, 34);
    headers.writeUInt32BE(0x20010db8, 38);
    headers.writeUInt32BE(destination, 50);
  } else {
    headers[14] = 0x45;
    headers[22] = 64;
    headers[23] = udp ? 17 : 6;
    headers.writeUInt32BE(source, 26);
    headers.writeUInt32BE(destination, 30);
  }
  const transport = 14 + (v6 ? 40 : 20);
  headers.writeUInt16BE(sport, transport);
  headers.writeUInt16BE(dport, transport + 2);
  if (!udp) {
    headers[transport + 12] = 0x50;
    headers[transport + 13] = 0x10;
    headers.writeUInt16BE(65_000, transport + 14);
  }
  return headers;
}

/**
 * Writes a pcap file (microseconds) of `packets` packets of `flows` bidirectional flows. Each packet's flow is drawn
 * independently, so there are no packet trains: the hardest case for any cache of flows.
 */
export function writeSyntheticCapture(path: string, settings: SyntheticCapture): WrittenCapture {
  const random = generator(settings.seed);
  const cumulative = popularity(settings.flows, settings.zipfExponent);
  const headers: (readonly [Buffer, Buffer] | undefined)[] = new Array(settings.flows);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const file = openSync(path, 'w');
  let at = FILE_HEADER;
  let timeUs = START_US;
  let octets = 0;
  let fileBytes = 0;
  let flows = 0;
  const drain = (): void => {
    for (let from = 0; from < at; ) from += writeSync(file, chunk, from, at - from);
    fileBytes += at;
    at = 0;
  };
  chunk.writeUInt32LE(0xa1b2c3d4, 0);
  chunk.writeUInt16LE(2, 4);
  chunk.writeUInt16LE(4, 6);
  chunk.writeUInt32LE(262_144, 16);
  chunk.writeUInt32LE(1, 20);
  for (let i = 0; i < settings.packets; i += 1) {
    const flow = pick(cumulative, random());
    let both = headers[flow];
    if (both === undefined) {
      // A flow's own generator, so that both directions are of one kind.
      both = [headersOf(flow, generator(flow + 1), false), headersOf(flow, generator(flow + 1), true)];
      headers[flow] = both;
      flows += 1;
    }
    const header = both[random() < 0.5 ? 0 : 1]!;
    let at01 = random();
    let length = MAX_FRAME;
    for (const [size, share] of SIZES) {
      length = size;
      if (at01 < share) break;
      at01 -= share;
    }
    length = Math.max(length, header.length);
    if (at + PACKET_HEADER + length > CHUNK_BYTES) drain();
    timeUs += Math.floor(random() * 2 * MEAN_GAP_US);
    chunk.writeUInt32LE(Math.floor(timeUs / 1e6), at);
    chunk.writeUInt32LE(timeUs % 1e6, at + 4);
    chunk.writeUInt32LE(length, at + 8);
    chunk.writeUInt32LE(length, at + 12);
    const frame = at + PACKET_HEADER;
    chunk.fill(0, frame, frame + length);
    header.copy(chunk, frame);
    const v6 = chunk[frame + 12] === 0x86;
    const transport = frame + 14 + (v6 ? 40 : 20);
    chunk.writeUInt16BE(length - 14 - (v6 ? 40 : 0), frame + (v6 ? 18 : 16));
    if (chunk[frame + (v6 ? 20 : 23)] === 17) chunk.writeUInt16BE(frame + length - transport, transport + 4);
    octets += length - 14;
    at = frame + length;
  }
  drain();
  closeSync(file);
  return { packets: settings.packets, octets, flows, fileBytes };
}
