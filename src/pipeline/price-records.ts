import type { PlanLink } from '../plan/index.js';
import type { PriceBook, Tariff } from '../pricing/index.js';
import type { StoreClient } from '../store/index.js';

export interface PriceRecordsOptions {
  readonly client: Pick<StoreClient, 'insertRows'>;
  readonly gateway: string;
  readonly book: Pick<PriceBook, 'tariff'>;
}

interface PricedItem {
  readonly item: string;
  readonly price: number;
}

/** What a tariff prices, units in the names. Prices of nothing are left out, but for traffic. */
export function priceItems(tariff: Tariff): PricedItem[] {
  const items: PricedItem[] = tariff.egress.map((tier, i) => ({
    item: `egress per GB from ${tariff.egress[i - 1]?.upToGb ?? 0} GB`,
    price: tier.usdPerGb,
  }));
  const others: readonly (readonly [string, number])[] = [
    ['port-hour', tariff.portHourUsd],
    ['month', tariff.monthUsd],
    ['commit per month', tariff.commitUsdPerMonth],
    ['ingress per GB', tariff.ingressUsdPerGb],
    ['processed per GB', tariff.processedUsdPerGb],
    ['burstable per Mbit/s and month', tariff.burstable?.usdPerMbpsMonth ?? 0],
    ['burstable above the commit per Mbit/s and month', tariff.burstable?.overageUsdPerMbpsMonth ?? 0],
    ...(tariff.circuit?.steps ?? []).map(
      (step) => [`circuit of ${step.mbps} Mbit/s per month`, step.usdPerMonth] as const,
    ),
  ];
  for (const [item, price] of others) if (price > 0) items.push({ item, price });
  return items;
}

/**
 * Keeps what things cost beside what they carried: the tariffs of the links in `prices`, once a run, and each link's price
 * in `link_prices` whenever it changes, which `cost_daily` joins to the traffic of the time.
 */
export class PriceRecords {
  readonly #options: PriceRecordsOptions;
  readonly #tariffs = new Set<string>();
  readonly #links = new Map<string, string>();

  constructor(options: PriceRecordsOptions) {
    this.#options = options;
  }

  /**
   * Writes what is new at `nowMs` (Unix time). @throws what the store says; it is written the next time
   *
   * @param links the ways out with what they cost now
   */
  async keep(links: readonly Omit<PlanLink, 'healthy'>[], nowMs: number): Promise<void> {
    const { client, gateway, book } = this.#options;
    const tariffs = [...new Set(links.flatMap((link) => link.tariffId ?? []))].filter(
      (id) => !this.#tariffs.has(id),
    );
    await client.insertRows(
      'prices',
      tariffs.flatMap((tariffId) => {
        const tariff = book.tariff(tariffId);
        const valid = new Date(tariff.date);
        return priceItems(tariff).map(({ item, price }) => ({
          // A date that a person wrote in other words is as old as can be.
          valid: (Number.isNaN(valid.getTime()) ? new Date(0) : valid).toISOString().slice(0, 10),
          gateway,
          tariffId,
          item,
          price,
          currency: tariff.currency,
          source: tariff.source,
          updated: new Date(nowMs).toISOString(),
        }));
      }),
    );
    for (const tariffId of tariffs) this.#tariffs.add(tariffId);
    const changed = links.flatMap((link) => {
      const { linkId, network, tariffId = '', usdPerGb, portHourUsd, capacityBps } = link;
      const row = { gateway, linkId, network, tariffId, usdPerGb, portHourUsd, capacityBps };
      return this.#links.get(linkId) === JSON.stringify(row) ? [] : [row];
    });
    await client.insertRows(
      'link_prices',
      changed.map((row) => ({ ...row, validFrom: new Date(nowMs).toISOString() })),
    );
    for (const row of changed) this.#links.set(row.linkId, JSON.stringify(row));
  }
}
