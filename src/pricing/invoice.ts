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
  /** Part of the month that the port existed, hours; absent = all of it. */
  readonly portHours?: number;
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
}

/** To the cent, halves up: 0.125 → 0.13. */
export const toCent = (usd: number): number => Math.round(usd * 100 * (1 + Number.EPSILON)) / 100;

const OCTETS_PER_GB = 1e9;
const gbWords = (gb: number): string => `${gb.toLocaleString('en-US', { maximumFractionDigits: 3 })} GB`;

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
  const hours = usage.portHours ?? month.hours;
  if (tariff.portHourUsd > 0) {
    add('port', hours, 'h', tariff.portHourUsd, `the port existed for ${hours} of ${month.hours} hours`);
  }
  if (tariff.monthUsd > 0) add('fee', 1, 'month', tariff.monthUsd, 'fixed monthly fee');
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
    addBurstable(add, tariff.burstable, burstableBill(tariff.burstable, samples, expected), expected);
  }
  if (tariff.circuit && usage.circuitMbps !== undefined) {
    const step =
      tariff.circuit.steps.find((s) => s.mbps >= usage.circuitMbps!) ?? tariff.circuit.steps.at(-1)!;
    const words = `the smallest step that carries ${usage.circuitMbps} Mbit/s is ${step.mbps} Mbit/s`;
    add('circuit', 1, 'month', step.usdPerMonth, words);
  }
  const sum = lines.reduce((total, line) => total + line.amountUsd, 0);
  if (tariff.commitUsdPerMonth > sum) {
    const gap = tariff.commitUsdPerMonth - sum;
    add(
      'commit',
      1,
      'month',
      gap,
      `the use of $${sum.toFixed(2)} is below the commit of $${tariff.commitUsdPerMonth}`,
    );
  }
  return lines;
}

function addBurstable(
  add: (item: string, quantity: number, unit: string, unitPriceUsd: number, words: string) => void,
  terms: NonNullable<Tariff['burstable']>,
  bill: BurstableBill,
  expected: number,
): void {
  const { commitMbps, overageMbps } = bill;
  const measured = `${(bill.measuredBps / 1e6).toFixed(2)} Mbit/s is the ${terms.percentile}th percentile of ${expected} samples, the top ${bill.freeSamples} free`;
  if (commitMbps > 0) {
    const left = Math.max(0, commitMbps - bill.measuredBps / 1e6);
    add(
      'commit rate',
      commitMbps,
      'Mbit/s',
      terms.usdPerMbpsMonth,
      `owed in any case; ${left.toFixed(2)} Mbit/s of it unused`,
    );
  }
  if (overageMbps > 0) {
    const price = terms.overageUsdPerMbpsMonth ?? terms.usdPerMbpsMonth;
    add(commitMbps > 0 ? 'overage' : 'burstable rate', overageMbps, 'Mbit/s', price, measured);
  }
}

/** A month's bill over all links. Lines are rounded to the cent, and the total is their sum. */
export function invoiceOf(
  month: BillingMonth,
  links: readonly { readonly tariff: Tariff; readonly usage: MonthUsage }[],
): Invoice {
  const lines = links.flatMap(({ tariff, usage }) => invoiceLines(tariff, usage, month));
  return {
    month: month.month,
    lines,
    totalUsd: toCent(lines.reduce((sum, line) => sum + line.amountUsd, 0)),
  };
}
