import type { Burstable } from './schema.js';

/** Mean rates of consecutive sample intervals, bit/s. */
export interface MonthSamples {
  readonly outBps: Float64Array;
  readonly inBps: Float64Array;
}

/** Samples of a month that are not looked at: the highest ones up to the percentile. */
export const freeSamples = (terms: Pick<Burstable, 'percentile'>, samples: number): number =>
  Math.floor(samples * (1 - terms.percentile / 100) + 1e-9);

/** The highest sample that is looked at when the highest `free` are dropped. */
function percentileBps(values: Float64Array, free: number): number {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length - 1 - Math.min(free, sorted.length - 1)]!;
}

export interface BurstableBill {
  readonly measuredBps: number;
  /** After the commit and rounding up. */
  readonly billedMbps: number;
  readonly commitMbps: number;
  readonly overageMbps: number;
  readonly commitUsd: number;
  readonly overageUsd: number;
  readonly usd: number;
  readonly freeSamples: number;
}

/**
 * The bill of a burstable port: samples sorted, the top (100 - percentile) % dropped, the highest left is measured;
 * the commit is owed anyway, what is above it is overage.
 *
 * @param samples a month of them; samples that are missing count as 0 when `expectedSamples` says how many there are
 */
export function burstableBill(
  terms: Burstable,
  samples: MonthSamples,
  expectedSamples = samples.outBps.length,
): BurstableBill {
  const padded = (values: Float64Array): Float64Array => {
    const all = new Float64Array(Math.max(expectedSamples, values.length));
    all.set(values);
    return all;
  };
  const out = padded(samples.outBps);
  const inbound = padded(samples.inBps);
  const free = freeSamples(terms, out.length);
  const measuredBps =
    terms.rule === 'out'
      ? percentileBps(out, free)
      : terms.rule === 'sum'
        ? percentileBps(
            out.map((value, i) => value + (inbound[i] ?? 0)),
            free,
          )
        : Math.max(percentileBps(out, free), percentileBps(inbound, free));
  const unit = terms.roundUpMbps;
  const mbps = measuredBps / 1e6;
  const rounded = unit > 0 ? Math.ceil(mbps / unit - 1e-9) * unit : mbps;
  const overageMbps = Math.max(0, rounded - terms.commitMbps);
  const commitUsd = terms.commitMbps * terms.usdPerMbpsMonth;
  const overageUsd = overageMbps * (terms.overageUsdPerMbpsMonth ?? terms.usdPerMbpsMonth);
  return {
    measuredBps,
    billedMbps: Math.max(rounded, terms.commitMbps),
    commitMbps: terms.commitMbps,
    overageMbps,
    commitUsd,
    overageUsd,
    usd: commitUsd + overageUsd,
    freeSamples: free,
  };
}
