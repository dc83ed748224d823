import { classifierPrograms } from './classifier.js';
import type { ServiceEndpoint } from './link.js';

/** How long a class may send at line rate after silence: a starved CPU wakes up late and must catch up. */
const BURST_SECONDS = 0.02;
const MIN_BURST_OCTETS = 32_768;
const MAX_BURST_OCTETS = 4_194_304;

/** Rounds down to what tc(8) prints without loss. */
export function quantiseRate(rateBps: number): number {
  const unit = rateBps < 1e9 ? 1e3 : 1e6;
  return Math.floor(rateBps / unit) * unit;
}

/** The arguments of `class add|change` for a ceiling, tc-htb(8). */
export function classLine(device: string, handle: string, minor: number, ceilingBps: number): string {
  const octetsPerSecond = ceilingBps / 8;
  const burst = Math.min(
    MAX_BURST_OCTETS,
    Math.max(MIN_BURST_OCTETS, Math.round(octetsPerSecond * BURST_SECONDS)),
  );
  // One packet at least, and no more than the 60000 that silences the kernel's "quantum is big".
  const quantum = Math.min(60_000, Math.max(1_514, Math.round(octetsPerSecond / 100)));
  return (
    `dev ${device} parent ${handle} classid ${handle}${minor.toString(16)} htb ` +
    `rate ${ceilingBps}bit ceil ${ceilingBps}bit burst ${burst} cburst ${burst} quantum ${quantum}`
  );
}

/** Filters (tc-bpf(8)) that put both directions of the endpoints' packets into a class; see classifier.ts. */
export const classifierLines = (
  device: string,
  handle: string,
  minor: number,
  endpoints: readonly ServiceEndpoint[],
): string[] =>
  classifierPrograms(endpoints).map(
    (program) =>
      `filter add dev ${device} parent ${handle} protocol all pref ${minor} ` +
      `bpf bytecode "${program}" flowid ${handle}${minor.toString(16)}`,
  );
