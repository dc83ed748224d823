import { defineErrors } from './errors.js';

const fail = defineErrors({
  TG_BASE_UNIT: { message: '"{text}" is not {expected}', hint: 'write it like {example}', exitCode: 2 },
});

const RATE_UNITS: Readonly<Record<string, number>> = {
  bit: 1,
  bps: 1,
  kbit: 1e3,
  mbit: 1e6,
  gbit: 1e9,
  tbit: 1e12,
  kbps: 1e3,
  mbps: 1e6,
  gbps: 1e9,
  tbps: 1e12,
};
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 60e3,
  min: 60e3,
  h: 3600e3,
  d: 86400e3,
  w: 604800e3,
};
const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

function parseWith(
  text: string | number,
  units: Readonly<Record<string, number>>,
  base: string,
  expected: string,
  example: string,
): number {
  if (typeof text === 'number') {
    if (Number.isFinite(text) && text >= 0) return text;
    throw fail('TG_BASE_UNIT', { text, expected, example });
  }
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z/]*)\s*$/i.exec(text);
  const factor = units[(match?.[2] || base).toLowerCase()];
  if (!match || factor === undefined) throw fail('TG_BASE_UNIT', { text, expected, example });
  return Number(match[1]) * factor;
}

/** `"10Gbit"`, `"250 Mbit"`, or a number of bit/s → bit/s. */
export const parseRateBps = (text: string | number): number =>
  parseWith(text, RATE_UNITS, 'bit', 'a rate', '10Gbit or 250Mbit');

/** `"5m"`, `"30d"`, `"500ms"`, or a number of seconds → milliseconds. */
export const parseDurationMs = (text: string | number): number =>
  typeof text === 'number'
    ? parseWith(text, DURATION_UNITS, 's', 'a duration', '60s, 5m or 30d') * 1000
    : parseWith(text, DURATION_UNITS, 's', 'a duration', '60s, 5m or 30d');

/** `"64MiB"`, `"10GB"`, or a number of bytes → bytes. */
export const parseSizeBytes = (text: string | number): number =>
  parseWith(text, SIZE_UNITS, 'b', 'a size', '64MiB or 10GB');

const scaled = (value: number, steps: readonly string[], base: number, digits: number): string => {
  let v = Math.abs(value);
  let i = 0;
  while (v >= base && i < steps.length - 1) {
    v /= base;
    i += 1;
  }
  const shown = i === 0 && Number.isInteger(v) ? String(v) : v.toFixed(v >= 100 ? 0 : digits);
  return `${value < 0 ? '-' : ''}${shown} ${steps[i]}`;
};

/** Bit/s for people: `1.25 Gbit/s`. */
export const formatRate = (rateBps: number): string =>
  scaled(rateBps, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'], 1000, 2);

/** Bytes for people: `3.40 MiB`. */
export const formatBytes = (bytes: number): string =>
  scaled(bytes, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], 1024, 2);

/** Counts for people: `12,345,678`. */
export const formatCount = (count: number | bigint): string => count.toLocaleString('en-US');
