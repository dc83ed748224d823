import { randomFillSync } from 'node:crypto';
import { slabLayout } from '../flow/columns.js';
import type { MeterOptions } from './addon.js';
import { type AddressSettings, addressOptions } from './addresses.js';
import { type ApplicationSettings, applicationOptions } from './applications.js';

/** Upper edges (exclusive) of the 16 packet size bins, in octets of IP length; the last bin is open. */
export const DEFAULT_SIZE_EDGES: readonly number[] = [
  64, 96, 128, 192, 256, 384, 512, 640, 768, 896, 1024, 1152, 1280, 1408, 1472,
];

const LUT_STEP = 16;
const LUT_ENTRIES = 128;
const TICK_NS = 1024;
const NS_PER_MS = 1e6;

/** Bin of every multiple of 16 octets; edges are rounded to those steps. */
export function sizeLut(edges: readonly number[] = DEFAULT_SIZE_EDGES): Uint8Array {
  return Uint8Array.from({ length: LUT_ENTRIES }, (_, i) => {
    const bin = edges.findIndex((edge) => i * LUT_STEP < edge);
    return bin === -1 ? edges.length : bin;
  });
}

/** Tunnels that can be entered, with their bits in bpf/parse.h. `ip` is IPv4 or IPv6 in IPv4 or IPv6. */
export const TUNNELS = { vxlan: 1, geneve: 2, gtpu: 4, gre: 8, ip: 16 } as const;
export type TunnelName = keyof typeof TUNNELS;

/** The native form of a list of tunnels. */
export const tunnelBits = (names: readonly TunnelName[] = []): number =>
  names.reduce((bits, name) => bits | TUNNELS[name], 0);

export interface MeterSettings {
  /** A flow silent for so long ends. */
  readonly idleTimeoutMs: number;
  /** A longer flow is reported at least this often. */
  readonly activeTimeoutMs: number;
  /** Cache entries (per CPU); a power of two. */
  readonly cacheEntries: number;
  /** Flows held at once; more are folded into per-prefix aggregates. */
  readonly maxFlows: number;
  readonly slabs: number;
  readonly slabRows: number;
  /** Upper edges (exclusive) of the size bins, octets of IP length, at most 15; default {@link DEFAULT_SIZE_EDGES}. */
  readonly sizeEdges?: readonly number[];
  /** Tunnels whose inner packet is the flow; all others are metered by their outer addresses. */
  readonly tunnels?: readonly TunnelName[];
  /** First payload octets kept per direction, 0 (default, for privacy) to 16. */
  readonly payloadHeadBytes?: number;
  /** What becomes of addresses in records; default: nothing. */
  readonly addresses?: AddressSettings;
  /** What is found out about applications from the first payloads of flows; default: nothing. */
  readonly applications?: ApplicationSettings;
  /** 13 words that key the cache's hash; random when absent. */
  readonly secret?: Uint32Array;
}

export interface PreparedMeter {
  readonly options: MeterOptions;
  readonly buffers: readonly SharedArrayBuffer[];
}

/**
 * Turns settings for people into the native options. A delta waits in the cache for at most half of the shorter
 * timeout, and the table waits that long (the grace) before it believes that a flow is silent.
 */
export function prepareMeter(settings: MeterSettings): PreparedMeter {
  const { idleTimeoutMs, activeTimeoutMs, slabs, slabRows } = settings;
  const exportMs = Math.max(1, Math.min(idleTimeoutMs, activeTimeoutMs) / 2);
  const { byteLength } = slabLayout(slabRows);
  const buffers = Array.from({ length: slabs }, () => new SharedArrayBuffer(byteLength));
  return {
    buffers,
    options: {
      cacheEntries: settings.cacheEntries,
      exportTicks: Math.ceil((exportMs * NS_PER_MS) / TICK_NS),
      idleTicks: Math.ceil((exportMs * NS_PER_MS) / TICK_NS),
      secret: settings.secret ?? randomFillSync(new Uint32Array(13)),
      sizeLut: sizeLut(settings.sizeEdges),
      tunnels: tunnelBits(settings.tunnels),
      headBytes: settings.payloadHeadBytes ?? 0,
      ...addressOptions(settings.addresses),
      ...applicationOptions(settings.applications),
      idleNs: idleTimeoutMs * NS_PER_MS,
      activeNs: activeTimeoutMs * NS_PER_MS,
      graceNs: exportMs * NS_PER_MS,
      maxFlows: settings.maxFlows,
      slabs: buffers.map((buffer) => new Uint8Array(buffer)),
      slabRows,
    },
  };
}
