import { sentThisMonthGb } from '../pipeline/month-usage.js';
import { marginalUsdPerGb } from '../pricing/index.js';
import type { ApiDependencies } from './dependencies.js';
import type { Evidence } from './evidence.js';

export interface LinkAhead {
  readonly createdMs: number;
  readonly startMs: number;
  readonly stepMs: number;
  readonly outMedianBps: number[];
  /** The 95 % quantile of what goes out. */
  readonly outUpperBps: number[];
  readonly peakOutMedianBps: number;
  readonly peakOutUpperBps: number;
}

export interface LinkNow {
  readonly linkId: string;
  readonly interface: string;
  readonly network: 'private' | 'public';
  readonly wayOut: boolean;
  readonly tariff: string;
  readonly capacityBps: number;
  readonly outBps: number;
  readonly inBps: number;
  /** The busier direction's share of the capacity. */
  readonly utilisation: number;
  /** Price of the next 10^9 octets that leave, at the month's volume so far. */
  readonly usdPerGb: number;
  readonly ahead: LinkAhead | null;
}

interface ForecastRow {
  readonly seriesId: string;
  readonly createdMs: number;
  readonly startMs: number;
  readonly stepMs: number;
  readonly median: readonly number[];
  readonly levels: readonly number[];
  readonly quantiles: readonly (readonly number[])[];
}

/** Seconds over which "now" is measured, and the age that records need to have arrived. */
const NOW_S = 10;
const SETTLE_S = 3;
const DAY_MS = 86_400_000;
const UPPER = 0.95;

/** The links as they are and as the newest forecasts expect them, up to a day ahead. */
export async function readLinks(
  evidence: Evidence,
  dependencies: Pick<ApiDependencies, 'gateway' | 'links' | 'prices'>,
  nowMs: number,
): Promise<LinkNow[]> {
  const { gateway, prices } = dependencies;
  const untilS = Math.floor(nowMs / 1000) - SETTLE_S;
  const rates = await evidence.query<{ linkId: string; outBps: number; inBps: number }>(
    `SELECT linkId, toFloat64(sum(octetsOut)) * 8 / {seconds:UInt32} AS outBps, toFloat64(sum(octetsIn)) * 8 / {seconds:UInt32} AS inBps
     FROM usage_1s WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32}) GROUP BY linkId`,
    { gateway, from: untilS - NOW_S, until: untilS, seconds: NOW_S },
  );
  const sent = await sentThisMonthGb((sql, parameters) => evidence.query(sql, parameters), gateway, nowMs);
  const ahead = await evidence.query<ForecastRow>(
    `SELECT seriesId, toFloat64(toUnixTimestamp64Milli(created)) AS createdMs, toFloat64(toUnixTimestamp64Milli(start)) AS startMs,
       toFloat64(stepMs) AS stepMs, median, levels, quantiles
     FROM forecasts WHERE gateway = {gateway:String} AND startsWith(seriesId, concat({gateway:String}, '/link:'))
       AND signal = 'bandwidthOutBps' AND status != 'refused' AND created > toDateTime64({since:UInt32}, 3)
     ORDER BY created DESC LIMIT 1 BY seriesId`,
    { gateway, since: Math.floor((nowMs - DAY_MS) / 1000) },
  );
  return dependencies.links.map((link): LinkNow => {
    const rate = rates.find((row) => row.linkId === link.linkId);
    const [outBps, inBps] = [rate?.outBps ?? 0, rate?.inBps ?? 0];
    const found = ahead.find((row) => row.seriesId === `${gateway}/link:${link.linkId}/bandwidthOutBps`);
    return {
      ...link,
      outBps,
      inBps,
      utilisation: link.capacityBps > 0 ? Math.max(outBps, inBps) / link.capacityBps : 0,
      usdPerGb: marginalUsdPerGb(prices.tariff(link.tariff), sent.get(link.linkId) ?? 0),
      ahead: found === undefined ? null : aheadOf(found),
    };
  });
}

function aheadOf(row: ForecastRow): LinkAhead {
  const steps = Math.min(row.median.length, Math.ceil(DAY_MS / row.stepMs));
  const outMedianBps = row.median.slice(0, steps);
  const level = row.levels.indexOf(UPPER);
  const outUpperBps = (row.quantiles[level] ?? row.median).slice(0, steps);
  return {
    createdMs: row.createdMs,
    startMs: row.startMs,
    stepMs: row.stepMs,
    outMedianBps: [...outMedianBps],
    outUpperBps: [...outUpperBps],
    peakOutMedianBps: Math.max(0, ...outMedianBps),
    peakOutUpperBps: Math.max(0, ...outUpperBps),
  };
}
