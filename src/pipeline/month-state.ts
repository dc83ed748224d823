import { aimedLevelBps, type LinkBurst } from '../plan/index.js';
import { type Burstable, billingMonthAt, freeSamples } from '../pricing/index.js';
import type { StoreClient } from '../store/index.js';

const USAGE_STEP_S = 300;
const DAY_MS = 86_400_000;
/** History that a level is aimed by. */
const HISTORY_DAYS = 28;

/**
 * Where the running month of a percentile-billed link stands, from the usage in the store, so that a restart forgets
 * nothing: the level that is billed, committed or aimed at, and how many samples may still exceed it.
 */
export async function burstState(
  client: Pick<StoreClient, 'query'>,
  gateway: string,
  linkId: string,
  terms: Burstable,
  nowMs: number,
): Promise<LinkBurst> {
  const sampleMs = terms.sampleMinutes * 60_000;
  const month = billingMonthAt(nowMs, terms.timeZone);
  const fromMs = Math.min(month.startMs, nowMs - HISTORY_DAYS * DAY_MS);
  const rows = await client.query<{ slot: number; octetsOut: number; octetsIn: number }>(
    `SELECT toUInt32(toUnixTimestamp(time)) AS slot, toFloat64(sum(octetsOut)) AS octetsOut, toFloat64(sum(octetsIn)) AS octetsIn
     FROM usage_5m WHERE gateway = {gateway:String} AND linkId = {linkId:String}
       AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32}) GROUP BY slot ORDER BY slot`,
    {
      params: {
        gateway,
        linkId,
        from: Math.floor(fromMs / 1000),
        until: Math.floor(nowMs / 1000 / USAGE_STEP_S) * USAGE_STEP_S,
      },
    },
  );
  const firstMs = rows[0] === undefined ? nowMs : rows[0].slot * 1000;
  const past = new Float64Array(Math.max(0, Math.floor((nowMs - firstMs) / sampleMs)));
  for (const row of rows) {
    const octets =
      terms.rule === 'sum'
        ? row.octetsOut + row.octetsIn
        : terms.rule === 'out'
          ? row.octetsOut
          : Math.max(row.octetsOut, row.octetsIn);
    const at = Math.floor((row.slot * 1000 - firstMs) / sampleMs);
    if (at >= 0 && at < past.length) past[at]! += (octets * 8000) / sampleMs;
  }
  const samplesOfMonth = Math.round((month.endMs - month.startMs) / sampleMs);
  const free = freeSamples(terms, samplesOfMonth);
  const own = past.subarray(Math.max(0, Math.ceil((month.startMs - firstMs) / sampleMs)));
  const aimed = aimedLevelBps(past, {
    carried: [own],
    freePerLink: free,
    samplesLeft: Math.max(1, samplesOfMonth - own.length),
    samplesOfMonth,
    samplesPerDay: Math.max(1, Math.round(DAY_MS / sampleMs)),
  });
  const levelBps = Math.max(terms.commitMbps * 1e6, aimed);
  const used = own.reduce((sum, value) => sum + (value > levelBps * (1 + 1e-9) ? 1 : 0), 0);
  return {
    levelBps,
    freeSamples: Math.max(0, free - used),
    sampleMs,
    usdPerMbps: terms.overageUsdPerMbpsMonth ?? terms.usdPerMbpsMonth,
  };
}
