import { type BilledLink, readMonthUsage, SAMPLE_MS } from '../pipeline/month-usage.js';
import { readLedger } from '../pipeline/read-ledger.js';
import type { LedgerDay } from '../plan/index.js';
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

type Money = Pick<ApiDependencies, 'gateway' | 'links' | 'prices'>;

/** The ways out with their tariffs. */
const billedLinks = ({ links, prices }: Money): BilledLink[] =>
  links.filter((link) => link.wayOut).map((link) => ({ ...link, tariff: prices.tariff(link.tariff) }));

/** What traffic and instances cost, day by day, beside doing nothing and perfect foresight. */
export async function readMoney(
  evidence: Evidence,
  money: Money,
  fromMs: number,
  untilMs: number,
): Promise<LedgerDay[]> {
  const { gateway, prices } = money;
  return readLedger(
    (sql, parameters) => evidence.query(sql, parameters),
    { gateway, fromMs, untilMs },
    () => billedLinks(money),
    (id) => (prices.instanceIds.includes(id) ? prices.instance(id) : undefined),
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
  money: Money,
  text: string,
  nowMs: number,
): Promise<{ links: MonthOfLink[]; lines: readonly InvoiceLine[]; totalUsd: number }> {
  const { links: months } = await readMonthUsage(
    (sql, parameters) => evidence.query(sql, parameters),
    money.gateway,
    text,
    () => billedLinks(money),
    nowMs,
  );
  const invoice = invoiceOf(billingMonth(text), months);
  return {
    links: months.map(({ tariff, month, usage }): MonthOfLink => {
      const { linkId, samples, octetsOut, octetsIn } = usage;
      const expectedSamples = Math.round((month.endMs - month.startMs) / SAMPLE_MS);
      const elapsedSamples = Math.max(
        0,
        Math.min(expectedSamples, Math.floor((nowMs - month.startMs) / SAMPLE_MS)),
      );
      const sorted = (values: Float64Array): Float64Array => Float64Array.from(values).sort().reverse();
      const [outBps, inBps] = [sorted(samples.outBps), sorted(samples.inBps)];
      const free = freeSamples({ percentile: 95 }, Math.max(elapsedSamples, outBps.length));
      return {
        linkId,
        tariffId: tariff.tariffId,
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
