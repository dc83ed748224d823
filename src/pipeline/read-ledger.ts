import { type LedgerDay, type LedgerInstances, ledgerOf } from '../plan/index.js';
import type { Instance } from '../pricing/index.js';
import { type Ask, type BilledLink, SAMPLE_MS } from './month-usage.js';

/** A plan's instances count until the next plan, but no longer than this: a gateway that stood still rented nobody. */
const PLAN_STANDS_MS = 3_600_000;

export interface LedgerRange {
  readonly gateway: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * The ledger from the store: what traffic and rented instances cost by day, beside doing nothing and perfect foresight.
 *
 * @param linksOf the links to bill, given those that have traffic
 * @param instanceOf an instance of the price book; `undefined` = it is not in it any more and costs nothing here
 */
export async function readLedger(
  ask: Ask,
  range: LedgerRange,
  linksOf: (withTraffic: readonly string[]) => readonly BilledLink[],
  instanceOf: (instanceId: string) => Instance | undefined,
): Promise<LedgerDay[]> {
  const { gateway, fromMs, untilMs } = range;
  const rows = await ask<{
    slot: number;
    workloadId: number;
    linkId: string;
    octetsOut: number;
    octetsIn: number;
  }>(
    `SELECT toUInt32(toUnixTimestamp(time)) AS slot, workloadId, linkId, toFloat64(sum(octetsOut)) AS octetsOut,
       toFloat64(sum(octetsIn)) AS octetsIn FROM usage_5m
     WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32})
     GROUP BY slot, workloadId, linkId ORDER BY slot, workloadId, linkId`,
    { gateway, from: Math.floor(fromMs / 1000), until: Math.ceil(untilMs / 1000) },
  );
  const links = linksOf([...new Set(rows.map((row) => row.linkId))]);
  const slots = [...new Set(rows.map((row) => row.slot * 1000))];
  return ledgerOf(
    links,
    rows.map((row) => ({ ...row, stepStartMs: row.slot * 1000 })),
    SAMPLE_MS,
    await rentedIn(ask, range, slots, instanceOf),
    untilMs,
  );
}

/** What the plans in force rented in each step that has traffic. */
async function rentedIn(
  ask: Ask,
  { gateway, fromMs, untilMs }: LedgerRange,
  stepsMs: readonly number[],
  instanceOf: (instanceId: string) => Instance | undefined,
): Promise<LedgerInstances[]> {
  const plans = await ask<{ slot: number; instanceId: string; count: number; purchase: string }>(
    `SELECT toUInt32(toUnixTimestamp(toStartOfFiveMinutes(created))) AS slot, argMax(plans.instanceId, created) AS instanceId,
       argMax(plans.instances, created) AS count, argMax(plans.purchase, created) AS purchase
     FROM plans WHERE gateway = {gateway:String} AND created >= toDateTime({from:UInt32}) AND created < toDateTime({until:UInt32})
     GROUP BY slot ORDER BY slot`,
    {
      gateway,
      from: Math.floor((fromMs - PLAN_STANDS_MS) / 1000),
      until: Math.ceil(untilMs / 1000),
    },
  );
  if (!plans.some((plan) => plan.count > 0)) return [];
  let at = -1;
  return stepsMs.flatMap((stepStartMs): LedgerInstances[] => {
    while (at + 1 < plans.length && plans[at + 1]!.slot * 1000 <= stepStartMs) at += 1;
    const plan = plans[at];
    if (plan === undefined || stepStartMs - plan.slot * 1000 > PLAN_STANDS_MS) return [];
    const instance = instanceOf(plan.instanceId);
    if (instance === undefined) return [];
    const { usdPerHour, spotUsdPerHour, reservedUsdPerHour } = instance;
    return [
      {
        stepStartMs,
        count: Number(plan.count),
        usdPerHour: plan.purchase === 'spot' ? (spotUsdPerHour ?? usdPerHour) : usdPerHour,
        onDemandUsdPerHour: usdPerHour,
        ...(reservedUsdPerHour === undefined ? {} : { reservedUsdPerHour }),
      },
    ];
  });
}
