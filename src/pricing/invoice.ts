import { type BurstableBill, burstableBill, type MonthSamples } from './burstable.js';
import { tierParts } from './egress.js';
import type { BillingMonth } from './month.js';
import type { Tariff } from './schema.js';

export interface MonthUsage {
  readonly linkId: string;
  readonly octetsOut: number;
  readonly octetsIn: number;
  /** Needed for burstable tariffs only. */
  readonly samples?: MonthSamples;
  /** Until when the month is billed, Unix time: the present in a month that is running; absent = its end. */
  readonly untilMs?: number;
  /** Circuit step that was leased, Mbit/s. */
  readonly circuitMbps?: number;
}

export interface InvoiceLine {
  readonly linkId: string;
  readonly tariffId: string;
  readonly item: string;
  readonly quantity: number;
  readonly unit: string;
  readonly unitPriceUsd: number;
  /** To the cent. */
  readonly amountUsd: number;
  readonly words: string;
}

export interface Invoice {
  readonly month: string;
  readonly lines: readonly InvoiceLine[];
  readonly totalUsd: number;
  /** In words: what the total has not got in it, or has and the ledger has not. */
  readonly notes: readonly string[];
}

/** To the cent, halves up: 0.125 → 0.13. */
export const toCent = (usd: number): number => Math.round(usd * 100 * (1 + Number.EPSILON)) / 100;

const OCTETS_PER_GB = 1e9;
const gbNumber = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 3 });
const gbWords = (gb: number): string => `${gbNumber(gb)} GB`;

/** Part of a month that is over at a moment, between 0 and 1. */
export function billedPart({ startMs, endMs }: BillingMonth, untilMs = endMs): number {
  return Math.min(1, Math.max(0, (untilMs - startMs) / (endMs - startMs)));
}

/** What a part of a monthly price is, where it is a part. */
const proRataWords = (month: BillingMonth, part: number, usdPerMonth: number): string =>
  part >= 1
    ? ''
    : `; ${((part * month.hours) / 24).toFixed(1)} of ${(month.hours / 24).toFixed(0)} days so far, $${usdPerMonth.toFixed(2)} at the end of the month`;

/** What one link's use of a month costs, line by line. */
export function invoiceLines(tariff: Tariff, usage: MonthUsage, month: BillingMonth): InvoiceLine[] {
  const lines: InvoiceLine[] = [];
  const add = (
    item: string,
    quantity: number,
    unit: string,
    unitPriceUsd: number,
    words: string,
    usd = quantity * unitPriceUsd,
  ): void => {
    const { linkId } = usage;
    const { tariffId } = tariff;
    lines.push({ linkId, tariffId, item, quantity, unit, unitPriceUsd, amountUsd: toCent(usd), words });
  };
  const part = billedPart(month, usage.untilMs);
  const addMonthly = (item: string, usdPerMonth: number, words: string): void =>
    add(item, part, 'month', usdPerMonth, `${words}${proRataWords(month, part, usdPerMonth)}`);
  if (tariff.portHourUsd > 0) {
    const hours = part * month.hours;
    const words = `the port existed for ${gbNumber(hours)} of ${month.hours} hours`;
    add('port', hours, 'h', tariff.portHourUsd, words);
  }
  if (tariff.monthUsd > 0) addMonthly('fee', tariff.monthUsd, 'fixed monthly fee');
  const outGb = usage.octetsOut / OCTETS_PER_GB;
  const inGb = usage.octetsIn / OCTETS_PER_GB;
  if (outGb > 0 && tariff.freeGbPerMonth > 0) {
    const free = Math.min(outGb, tariff.freeGbPerMonth);
    add('free volume', free, 'GB', 0, `the first ${gbWords(tariff.freeGbPerMonth)} of a month are free`);
  }
  for (const part of tierParts(tariff, outGb)) {
    if (part.billedGb <= 0 || part.usdPerGb === 0) continue;
    const range = `${gbWords(part.fromGb)} to ${gbWords(part.untilGb)}`;
    add('egress', part.billedGb, 'GB', part.usdPerGb, `${range} of ${gbWords(outGb)} sent`);
  }
  if (tariff.ingressUsdPerGb > 0 && inGb > 0) {
    add('ingress', inGb, 'GB', tariff.ingressUsdPerGb, `${gbWords(inGb)} received`);
  }
  if (tariff.processedUsdPerGb > 0 && outGb + inGb > 0) {
    add('processing', outGb + inGb, 'GB', tariff.processedUsdPerGb, 'both directions');
  }
  if (tariff.burstable) {
    const { sampleMinutes } = tariff.burstable;
    const expected = Math.round((month.hours * 60) / sampleMinutes);
    const samples = usage.samples ?? { outBps: new Float64Array(0), inBps: new Float64Array(0) };
    const bill = burstableBill(tariff.burstable, samples, expected);
    addBurstable(add, tariff.burstable, bill, {
      expected,
      part,
      later: proRataWords(month, part, bill.commitUsd),
    });
  }
  if (tariff.circuit && usage.circuitMbps !== undefined) {
    const step =
      tariff.circuit.steps.find((s) => s.mbps >= usage.circuitMbps!) ?? tariff.circuit.steps.at(-1)!;
    const words = `the smallest step that carries ${usage.circuitMbps} Mbit/s is ${step.mbps} Mbit/s`;
    addMonthly('circuit', step.usdPerMonth, words);
  }
  const sum = lines.reduce((total, line) => total + line.amountUsd, 0);
  const owed = part * tariff.commitUsdPerMonth;
  if (owed > sum) {
    const words = `the use of $${sum.toFixed(2)} is below the commit of $${owed.toFixed(2)}`;
    add('commit', 1, 'month', owed - sum, `${words}${proRataWords(month, part, tariff.commitUsdPerMonth)}`);
  }
  return lines;
}

function addBurstable(
  add: (item: string, quantity: number, unit: string, unitPriceUsd: number, words: string) => void,
  terms: NonNullable<Tariff['burstable']>,
  bill: BurstableBill,
  { expected, part, later }: { readonly expected: number; readonly part: number; readonly later: string },
): void {
  const { commitMbps, overageMbps } = bill;
  const measured = `${(bill.measuredBps / 1e6).toFixed(2)} Mbit/s is the ${terms.percentile}th percentile of ${expected} samples, the top ${bill.freeSamples} free`;
  if (commitMbps > 0) {
    const left = Math.max(0, commitMbps - bill.measuredBps / 1e6);
    add(
      'commit rate',
      commitMbps * part,
      'Mbit/s',
      terms.usdPerMbpsMonth,
      `owed in any case; ${left.toFixed(2)} Mbit/s of it unused${later}`,
    );
  }
  if (overageMbps > 0) {
    const price = terms.overageUsdPerMbpsMonth ?? terms.usdPerMbpsMonth;
    add(commitMbps > 0 ? 'overage' : 'burstable rate', overageMbps, 'Mbit/s', price, measured);
  }
}

/**
 * A month's bill over all links. Lines are rounded to the cent, and the total is their sum.
 *
 * @param recordsFromMs when usage began to be recorded, Unix time; absent = before the month
 */
export function invoiceOf(
  month: BillingMonth,
  links: readonly { readonly tariff: Tariff; readonly usage: MonthUsage }[],
  recordsFromMs?: number,
): Invoice {
  const lines = links.flatMap(({ tariff, usage }) => invoiceLines(tariff, usage, month));
  const notes: string[] = [];
  const untilMs = Math.min(...links.map(({ usage }) => usage.untilMs ?? month.endMs));
  if (untilMs < month.endMs) {
    const until = new Date(Math.max(untilMs, month.startMs)).toISOString().slice(0, 16);
    notes.push(
      `the month is not over: this is the bill until ${until} UTC, monthly prices in proportion to the time`,
    );
  }
  if (recordsFromMs !== undefined && recordsFromMs > month.startMs && recordsFromMs < month.endMs) {
    const from = new Date(recordsFromMs).toISOString().slice(0, 16);
    notes.push(
      `the records begin at ${from} UTC: ports, fees and commits are billed from the beginning of the month, the ledger counts them from its first record on`,
    );
  }
  return {
    notes,
    month: month.month,
    lines,
    totalUsd: toCent(lines.reduce((sum, line) => sum + line.amountUsd, 0)),
  };
}
