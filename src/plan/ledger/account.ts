import {
  type BillingMonth,
  billingMonthAt,
  burstableBill,
  marginalUsdPerGb,
  monthEgressUsd,
  type Tariff,
} from '../../pricing/index.js';

const OCTETS_PER_GB = 1e9;
const HOUR_MS = 3_600_000;

/** Octets of one step over one link. */
export interface StepVolume {
  readonly out: number;
  readonly in: number;
}

/**
 * What one way of using one link costs, as it runs up: tiers, both directions' fees, port-hours, the month's fees and
 * circuit in proportion to the time, a percentile-billed rate as the month's samples so far have it, a commit's spend.
 * Months are the contract's own; each begins anew. Over a whole month it is what the invoice says, before rounding.
 */
export class LinkAccount {
  readonly #tariff: Tariff;
  readonly #stepMs: number;
  readonly #circuitUsdPerMonth: number;
  #month: BillingMonth;
  /** Of this month. */
  #outGb = 0;
  #inGb = 0;
  #since: number;
  #samples = new Map<number, { out: number; in: number }>();
  #chargedUsd = 0;
  /** Of months that ended since the last {@link take}. */
  #carriedUsd = 0;

  /** @param circuitMbps the step that is leased, where the tariff comes in steps */
  constructor(tariff: Tariff, fromMs: number, stepMs: number, circuitMbps?: number) {
    this.#tariff = tariff;
    this.#stepMs = stepMs;
    const steps = tariff.circuit?.steps ?? [];
    const step = steps.find(({ mbps }) => mbps >= (circuitMbps ?? 0)) ?? steps.at(-1);
    this.#circuitUsdPerMonth = circuitMbps === undefined ? 0 : (step?.usdPerMonth ?? 0);
    this.#month = billingMonthAt(fromMs, tariff.burstable?.timeZone);
    this.#since = fromMs;
  }

  /** Dollars that another gigabyte out would cost by volume. */
  get marginalUsdPerGb(): number {
    return marginalUsdPerGb(this.#tariff, this.#outGb) + this.#tariff.processedUsdPerGb;
  }

  /** A step's traffic; steps in ascending order. */
  send(stepStartMs: number, volume: StepVolume): void {
    this.#turnUntil(stepStartMs);
    this.#outGb += volume.out / OCTETS_PER_GB;
    this.#inGb += volume.in / OCTETS_PER_GB;
    const { burstable } = this.#tariff;
    if (burstable === undefined) return;
    const sampleMs = burstable.sampleMinutes * 60_000;
    const slot = Math.floor(stepStartMs / sampleMs);
    const sample = this.#samples.get(slot) ?? { out: 0, in: 0 };
    // Steps longer than a sample are as if spread evenly: their rate counts.
    const bits = 8000 / Math.max(sampleMs, this.#stepMs);
    sample.out += volume.out * bits;
    sample.in += volume.in * bits;
    this.#samples.set(slot, sample);
  }

  /** Dollars that ran up since the last call. */
  take(untilMs: number): number {
    this.#turnUntil(untilMs);
    const toDate = this.#toDateUsd(untilMs);
    const usd = this.#carriedUsd + toDate - this.#chargedUsd;
    this.#chargedUsd = toDate;
    this.#carriedUsd = 0;
    return usd;
  }

  #turnUntil(atMs: number): void {
    while (atMs >= this.#month.endMs) {
      const { endMs } = this.#month;
      this.#carriedUsd += this.#toDateUsd(endMs) - this.#chargedUsd;
      this.#chargedUsd = 0;
      this.#outGb = 0;
      this.#inGb = 0;
      this.#samples.clear();
      this.#since = endMs;
      this.#month = billingMonthAt(endMs, this.#tariff.burstable?.timeZone);
    }
  }

  #toDateUsd(untilMs: number): number {
    const { portHourUsd, monthUsd, ingressUsdPerGb, processedUsdPerGb, commitUsdPerMonth } = this.#tariff;
    const elapsedMs = untilMs - this.#since;
    const part = elapsedMs / (this.#month.endMs - this.#month.startMs);
    const { commitUsd, overageUsd } = this.#burstUsd();
    const usd =
      monthEgressUsd(this.#tariff, this.#outGb) +
      this.#inGb * ingressUsdPerGb +
      (this.#outGb + this.#inGb) * processedUsdPerGb +
      (elapsedMs / HOUR_MS) * portHourUsd +
      part * (monthUsd + this.#circuitUsdPerMonth + commitUsd) +
      overageUsd;
    return Math.max(usd, part * commitUsdPerMonth);
  }

  #burstUsd(): { readonly commitUsd: number; readonly overageUsd: number } {
    const { burstable } = this.#tariff;
    if (burstable === undefined) return { commitUsd: 0, overageUsd: 0 };
    const all = [...this.#samples.values()];
    const expected = Math.round((this.#month.hours * 60) / burstable.sampleMinutes);
    return burstableBill(
      burstable,
      {
        outBps: Float64Array.from(all, (sample) => sample.out),
        inBps: Float64Array.from(all, (sample) => sample.in),
      },
      expected,
    );
  }
}
