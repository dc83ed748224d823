import type { Tariff } from './schema.js';

/** One tier's part of a month's volume. */
export interface TierPart {
  readonly fromGb: number;
  readonly untilGb: number;
  readonly billedGb: number;
  readonly usdPerGb: number;
  readonly usd: number;
}

type Tiered = Pick<Tariff, 'freeGbPerMonth' | 'egress'>;

/**
 * The first `gb` decimal gigabytes of a month, tier by tier. Free volume shifts nothing: it is the part of the first
 * tiers that is not billed.
 */
export function tierParts(tariff: Tiered, gb: number): TierPart[] {
  const parts: TierPart[] = [];
  let from = 0;
  for (const tier of tariff.egress) {
    const until = Math.min(gb, tier.upToGb ?? Number.POSITIVE_INFINITY);
    const billedGb = Math.max(0, until - Math.max(from, tariff.freeGbPerMonth));
    parts.push({
      fromGb: from,
      untilGb: until,
      billedGb,
      usdPerGb: tier.usdPerGb,
      usd: billedGb * tier.usdPerGb,
    });
    from = until;
    if (until >= gb) break;
  }
  return parts;
}

/** Cost in dollars of the first `gb` decimal gigabytes of a month. Piecewise linear, from zero. */
export const monthEgressUsd = (tariff: Tiered, gb: number): number =>
  tierParts(tariff, gb).reduce((sum, part) => sum + part.usd, 0);

/** Cost of `gb` more, when `soFarGb` were sent this month. */
export const egressUsd = (tariff: Tiered, soFarGb: number, gb: number): number =>
  monthEgressUsd(tariff, soFarGb + gb) - monthEgressUsd(tariff, soFarGb);

/** Price of the next gigabyte, when `soFarGb` were sent this month. */
export function marginalUsdPerGb(tariff: Tiered, soFarGb: number): number {
  if (soFarGb < tariff.freeGbPerMonth) return 0;
  return tariff.egress.find((tier) => tier.upToGb === undefined || soFarGb < tier.upToGb)!.usdPerGb;
}
