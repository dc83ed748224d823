import { type LedgerDay, ledgerOf } from '../plan/index.js';
import {
  type BillingMonth,
  type Burstable,
  billingMonth,
  burstableBill,
  freeSamples,
  type InvoiceLine,
  invoiceOf,
} from '../pricing/index.js';
import type { ApiDependencies } from './dependencies.js';
import type { Evidence } from './evidence.js';

const SAMPLE_MS = 300_000;
const DAY_MS = 86_400_000;

/** The month, UTC, that a moment lies in. */
export const monthOf = (ms: number): BillingMonth => billingMonth(new Date(ms).toISOString().slice(0, 7));

type Money = Pick<ApiDependencies, 'gateway' | 'links' | 'prices'>;

/** What traffic cost, day by day, beside doing nothing and perfect foresight. */
export async function readMoney(
  evidence: Evidence,
  { gateway, links, prices }: Money,
  fromMs: number,
  untilMs: number,
): Promise<LedgerDay[]> {
  const rows = await evidence.query<{ slot: number; workloadId: number; linkId: string; octetsOut: number }>(
    `SELECT toUInt32(toUnixTimestamp(time)) AS slot, workloadId, linkId, toFloat64(sum(octetsOut)) AS octetsOut FROM usage_5m
     WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32})
     GROUP BY slot, workloadId, linkId ORDER BY slot, workloadId, linkId`,
    { gateway, from: Math.floor(fromMs / 1000), until: Math.ceil(untilMs / 1000) },
  );
  const ways = links
    .filter((link) => link.wayOut)
    .map((link) => ({ ...link, tariff: prices.tariff(link.tariff) }));
  return ledgerOf(
    ways,
    rows.map((row) => ({ ...row, stepStartMs: row.slot * 1000 })),
    SAMPLE_MS,
  );
}

export interface BurstableTerms {
  readonly percentile: number;
  readonly rule: Burstable['rule'];
  readonly commitBps: number;
  /** What counts now: the highest sample that is not free. */
  readonly measuredBps: number;
  readonly billedBps: number;
  readonly usd: number;
  /** Highest samples of the whole month that are not billed, and those of them that no sample has used yet. */
  readonly freeSamples: number;
  readonly freeSamplesLeft: number;
}

export interface MonthOfLink {
  readonly linkId: string;
  readonly tariffId: string;
  readonly month: BillingMonth;
  /** Samples of five minutes that the month has, and how many of them are over. */
  readonly expectedSamples: number;
  readonly elapsedSamples: number;
  /** Rates of the samples with traffic, highest first, bit/s; the rest of the elapsed ones are 0. */
  readonly outBps: Float64Array;
  readonly inBps: Float64Array;
  readonly octetsOut: number;
  readonly octetsIn: number;
  readonly outP95Bps: number;
  readonly inP95Bps: number;
  /** Terms of the contract; `null` where it is not billed by percentile. */
  readonly burstable: BurstableTerms | null;
}

/** The samples of a month by link, and the bill that follows from them. */
export async function readMonth(
  evidence: Evidence,
  { gateway, links, prices }: Money,
  text: string,
  nowMs: number,
): Promise<{ links: MonthOfLink[]; lines: readonly InvoiceLine[]; totalUsd: number }> {
  // A day more at both ends: the contract's month may lie in another zone.
  const wide = billingMonth(text);
  const rows = await evidence.query<{ linkId: string; slot: number; octetsOut: number; octetsIn: number }>(
    `SELECT linkId, toUInt32(toUnixTimestamp(time)) AS slot, toFloat64(sum(octetsOut)) AS octetsOut, toFloat64(sum(octetsIn)) AS octetsIn
     FROM usage_5m WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32})
     GROUP BY linkId, slot ORDER BY linkId, slot`,
    { gateway, from: (wide.startMs - DAY_MS) / 1000, until: (wide.endMs + DAY_MS) / 1000 },
  );
  const months = links
    .filter((link) => link.wayOut)
    .map((link) => {
      const tariff = prices.tariff(link.tariff);
      const month = billingMonth(text, tariff.burstable?.timeZone ?? 'UTC');
      const own = rows.filter(
        (row) =>
          row.linkId === link.linkId && row.slot * 1000 >= month.startMs && row.slot * 1000 < month.endMs,
      );
      const rates = (of: (row: (typeof own)[number]) => number): Float64Array =>
        Float64Array.from(own, (row) => (of(row) * 8000) / SAMPLE_MS);
      const samples = { outBps: rates((row) => row.octetsOut), inBps: rates((row) => row.octetsIn) };
      const octetsOut = own.reduce((sum, row) => sum + row.octetsOut, 0);
      const octetsIn = own.reduce((sum, row) => sum + row.octetsIn, 0);
      return { link, tariff, month, samples, octetsOut, octetsIn };
    });
  const invoice = invoiceOf(
    wide,
    months.map(({ link, tariff, samples, octetsOut, octetsIn }) => ({
      tariff,
      usage: { linkId: link.linkId, octetsOut, octetsIn, samples },
    })),
  );
  return {
    links: months.map(({ link, tariff, month, samples, octetsOut, octetsIn }): MonthOfLink => {
      const expectedSamples = Math.round((month.endMs - month.startMs) / SAMPLE_MS);
      const elapsedSamples = Math.max(
        0,
        Math.min(expectedSamples, Math.floor((nowMs - month.startMs) / SAMPLE_MS)),
      );
      const sorted = (values: Float64Array): Float64Array => Float64Array.from(values).sort().reverse();
      const [outBps, inBps] = [sorted(samples.outBps), sorted(samples.inBps)];
      const free = freeSamples({ percentile: 95 }, Math.max(elapsedSamples, outBps.length));
      return {
        linkId: link.linkId,
        tariffId: link.tariff,
        month,
        expectedSamples,
        elapsedSamples,
        outBps,
        inBps,
        octetsOut,
        octetsIn,
        outP95Bps: outBps[free] ?? 0,
        inP95Bps: inBps[free] ?? 0,
        burstable: tariff.burstable
          ? termsOf(tariff.burstable, samples, expectedSamples, elapsedSamples)
          : null,
      };
    }),
    lines: invoice.lines,
    totalUsd: invoice.totalUsd,
  };
}

function termsOf(
  terms: Burstable,
  samples: { readonly outBps: Float64Array; readonly inBps: Float64Array },
  expected: number,
  elapsed: number,
): BurstableTerms {
  const bill = burstableBill(terms, samples, Math.max(elapsed, samples.outBps.length));
  const commitBps = terms.commitMbps * 1e6;
  const free = freeSamples(terms, expected);
  const counted = samples.outBps.map((out, i) => {
    const inbound = samples.inBps[i] ?? 0;
    return terms.rule === 'out' ? out : terms.rule === 'sum' ? out + inbound : Math.max(out, inbound);
  });
  const used = counted.filter((bps) => bps > commitBps).length;
  return {
    percentile: terms.percentile,
    rule: terms.rule,
    commitBps,
    measuredBps: bill.measuredBps,
    billedBps: bill.billedMbps * 1e6,
    usd: bill.usd,
    freeSamples: free,
    freeSamplesLeft: Math.max(0, free - used),
  };
}
