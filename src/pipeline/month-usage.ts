import { type BillingMonth, billingMonth, type MonthUsage, type Tariff } from '../pricing/index.js';

/** Asks the store: a statement and its parameters. */
export type Ask = <Row>(sql: string, parameters: Readonly<Record<string, string | number>>) => Promise<Row[]>;

/** A way out as its bill needs it. */
export interface BilledLink {
  readonly linkId: string;
  readonly capacityBps: number;
  readonly tariff: Tariff;
}

/** One link's use of one month of its own contract. */
export interface LinkMonth {
  readonly tariff: Tariff;
  readonly month: BillingMonth;
  readonly usage: MonthUsage & { readonly samples: NonNullable<MonthUsage['samples']> };
}

/** The use of a month. */
export interface GatewayMonth {
  readonly links: readonly LinkMonth[];
  /** The first record, where there is none of the day before the month; Unix time. */
  readonly recordsFromMs?: number;
}

/** Step of the stored usage that bills are made from. */
export const SAMPLE_MS = 300_000;
const DAY_MS = 86_400_000;
const OCTETS_PER_GB = 1e9;

/** The month, UTC, that a moment lies in. */
export const monthOf = (ms: number): BillingMonth => billingMonth(new Date(ms).toISOString().slice(0, 7));

/** Decimal gigabytes that each link has carried outwards since the month, UTC, began. */
export async function sentThisMonthGb(
  ask: Ask,
  gateway: string,
  nowMs: number,
): Promise<Map<string, number>> {
  const rows = await ask<{ linkId: string; octets: number }>(
    `SELECT linkId, toFloat64(sum(octetsOut)) AS octets FROM usage_1h
     WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) GROUP BY linkId`,
    { gateway, from: monthOf(nowMs).startMs / 1000 },
  );
  return new Map(rows.map((row) => [row.linkId, Number(row.octets) / OCTETS_PER_GB]));
}

interface SampleRow {
  readonly linkId: string;
  readonly slot: number;
  readonly octetsOut: number;
  readonly octetsIn: number;
}

/**
 * What each link carried in a month, with its five-minute samples, each month by the clock of the link's contract.
 *
 * @param text `YYYY-MM`
 * @param nowMs a month that is running is billed until then
 * @param linksOf the links to bill, given those that have traffic
 * @throws TG_PRICING_MONTH, what the store says, and what `linksOf` throws
 */
export async function readMonthUsage(
  ask: Ask,
  gateway: string,
  text: string,
  linksOf: (withTraffic: readonly string[]) => readonly BilledLink[],
  nowMs: number,
): Promise<GatewayMonth> {
  // A day more at both ends: the contract's month may lie in another zone.
  const wide = billingMonth(text);
  const rows = await ask<SampleRow>(
    `SELECT linkId, toUInt32(toUnixTimestamp(time)) AS slot, toFloat64(sum(octetsOut)) AS octetsOut, toFloat64(sum(octetsIn)) AS octetsIn
     FROM usage_5m WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32})
     GROUP BY linkId, slot ORDER BY linkId, slot`,
    { gateway, from: (wide.startMs - DAY_MS) / 1000, until: (wide.endMs + DAY_MS) / 1000 },
  );
  const firstMs = rows.reduce((first, row) => Math.min(first, row.slot * 1000), Number.POSITIVE_INFINITY);
  const links = linksOf([...new Set(rows.map((row) => row.linkId))]).map(
    ({ linkId, capacityBps, tariff }) => {
      const month = billingMonth(text, tariff.burstable?.timeZone ?? 'UTC');
      const own = rows.filter(
        (row) => row.linkId === linkId && row.slot * 1000 >= month.startMs && row.slot * 1000 < month.endMs,
      );
      const rates = (of: (row: SampleRow) => number): Float64Array =>
        Float64Array.from(own, (row) => (of(row) * 8000) / SAMPLE_MS);
      return {
        tariff,
        month,
        usage: {
          linkId,
          octetsOut: own.reduce((sum, row) => sum + row.octetsOut, 0),
          octetsIn: own.reduce((sum, row) => sum + row.octetsIn, 0),
          samples: { outBps: rates((row) => row.octetsOut), inBps: rates((row) => row.octetsIn) },
          ...(tariff.circuit !== undefined && Number.isFinite(capacityBps)
            ? { circuitMbps: capacityBps / 1e6 }
            : {}),
          ...(nowMs < month.endMs ? { untilMs: nowMs } : {}),
        },
      };
    },
  );
  return { links, ...(firstMs > wide.startMs && Number.isFinite(firstMs) ? { recordsFromMs: firstMs } : {}) };
}
