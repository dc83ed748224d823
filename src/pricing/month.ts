import { fail } from './errors.js';

/** Where a clock of this zone stands ahead of UTC at a moment, milliseconds. */
function offsetMs(timeZone: string, atMs: number): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(atMs);
  const part = (type: string): number => Number(parts.find((p) => p.type === type)?.value);
  const local = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return local - Math.floor(atMs / 1000) * 1000;
}

/** The moment at which a zone's clock shows midnight of the first of a month. */
function monthStartMs(year: number, month: number, timeZone: string): number {
  const utc = Date.UTC(year, month - 1, 1);
  // The offset at the answer, not at the guess: one correction is enough since zones move by hours, not days.
  const guess = utc - offsetMs(timeZone, utc);
  return utc - offsetMs(timeZone, guess);
}

export interface BillingMonth {
  readonly month: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly hours: number;
}

/** `2026-10` in a time zone: hours differ from 24 a day where the clock is changed. @throws TG_PRICING_MONTH */
export function billingMonth(text: string, timeZone = 'UTC'): BillingMonth {
  const match = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text);
  if (!match) throw fail('TG_PRICING_MONTH', { text });
  const [year, month] = [Number(match[1]), Number(match[2])];
  const startMs = monthStartMs(year, month, timeZone);
  const endMs = month === 12 ? monthStartMs(year + 1, 1, timeZone) : monthStartMs(year, month + 1, timeZone);
  return { month: text, startMs, endMs, hours: (endMs - startMs) / 3_600_000 };
}

/** The billing month that a moment lies in, by the contract's clock. */
export function billingMonthAt(atMs: number, timeZone = 'UTC'): BillingMonth {
  return billingMonth(new Date(atMs + offsetMs(timeZone, atMs)).toISOString().slice(0, 7), timeZone);
}
