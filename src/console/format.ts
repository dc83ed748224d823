const SI = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** Three significant digits with a decimal prefix: `12.3 M`. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  let size = Math.abs(value);
  let at = 0;
  while (size >= 999.5 && at < SI.length - 1) {
    size /= 1000;
    at += 1;
  }
  const digits = at === 0 && Number.isInteger(value) ? 0 : size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return `${value < 0 ? '−' : ''}${size.toFixed(digits)}${at > 0 ? ` ${SI[at]}` : ''}`;
}

const withUnit = (value: number, unit: string): string => {
  const text = short(value);
  return /[a-zA-Z]$/.test(text) ? `${text}${unit}` : `${text} ${unit}`;
};

export const rate = (bps: number): string => withUnit(bps, 'bit/s');
export const octets = (count: number): string => withUnit(count, 'B');
export const count = (value: number): string => Math.round(value).toLocaleString('en-US');
export const percent = (share: number | null, digits = 0): string =>
  share === null ? '–' : `${(share * 100).toFixed(digits)} %`;
/** Small amounts keep enough digits to be told from nothing. */
export const usd = (amount: number): string => {
  const size = Math.abs(amount);
  const digits = size === 0 || size >= 0.995 ? 2 : size >= 0.00995 ? 3 : 5;
  return `${amount < 0 ? '−' : ''}$${size.toFixed(digits)}`;
};

/** Swedish writes times as ISO 8601 does: 2026-11-24 17:03:19. */
const ISO_LOCALE = 'sv-SE';
export const clock = (ms: number): string => new Date(ms).toLocaleTimeString(ISO_LOCALE);
export const dateTime = (ms: number): string => new Date(ms).toLocaleString(ISO_LOCALE);

/** `in 42 s`, `3 min ago`. */
export function relative(ms: number, nowMs: number): string {
  const seconds = Math.round((ms - nowMs) / 1000);
  const size = Math.abs(seconds);
  const words =
    size < 90
      ? `${size} s`
      : size < 5400
        ? `${Math.round(size / 60)} min`
        : size < 129_600
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} d`;
  if (size < 2) return 'now';
  return seconds >= 0 ? `in ${words}` : `${words} ago`;
}

/** A value of a forecast's signal with its unit. */
export const ofSignal = (signal: string, value: number): string =>
  signal.endsWith('Bps')
    ? rate(value)
    : signal === 'memoryBytes'
      ? octets(value)
      : signal === 'cpuCores'
        ? `${short(value)} cores`
        : `${short(value)}/s`;
