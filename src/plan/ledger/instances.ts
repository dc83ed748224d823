const HOUR_MS = 3_600_000;

/** Rented instances in one step of the past, as the plan in force had them. */
export interface LedgerInstances {
  readonly stepStartMs: number;
  readonly count: number;
  /** What an hour of one of them cost, bought as it was. */
  readonly usdPerHour: number;
  readonly onDemandUsdPerHour: number;
  readonly reservedUsdPerHour?: number;
}

/** Dollars for the instances of one step. */
export interface InstanceUsd {
  readonly actual: number;
  readonly nothing: number;
  readonly perfect: number;
}

/**
 * What instances cost as they were rented; had the highest number of the ledger run on demand throughout; and with
 * perfect foresight: the same numbers, since nobody knows afterwards with how few it would have gone, but those that
 * ran throughout reserved where that is cheaper.
 */
export function instanceUsd(rented: readonly LedgerInstances[], stepMs: number): InstanceUsd[] {
  const hours = stepMs / HOUR_MS;
  const most = rented.reduce((top, { count }) => Math.max(top, count), 0);
  const always = rented.reduce((least, { count }) => Math.min(least, count), most);
  return rented.map(({ count, usdPerHour, onDemandUsdPerHour, reservedUsdPerHour }) => {
    const cheapest = Math.min(usdPerHour, onDemandUsdPerHour);
    const reserved = Math.min(cheapest, reservedUsdPerHour ?? cheapest);
    return {
      actual: count * usdPerHour * hours,
      nothing: most * onDemandUsdPerHour * hours,
      perfect: (always * reserved + (count - always) * cheapest) * hours,
    };
  });
}
