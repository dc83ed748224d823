import type { CircuitState, PlanLink } from '../plan/index.js';
import { type Circuit, marginalUsdPerGb, type PriceBook, type Tariff } from '../pricing/index.js';
import type { StoreClient } from '../store/index.js';
import { burstState } from './month-state.js';

export interface PricedLink {
  readonly linkId: string;
  readonly network: 'private' | 'public';
  readonly wayOut: boolean;
  readonly capacity: number;
  readonly tariff: string;
}

type Client = Pick<StoreClient, 'query' | 'insertRows'>;

const BYTES_PER_GB = 1e9;

/** The ways out with the price of their next gigabyte: tiers depend on what the month has already carried. */
export class LinkPrices {
  readonly #client: Client;
  readonly #gateway: string;
  readonly #book: PriceBook;
  readonly #links: readonly PricedLink[];
  /** What was last written down of each link: a price is written when it changes. */
  readonly #written = new Map<string, string>();
  #tariffsWritten = false;

  constructor(client: Client, gateway: string, book: PriceBook, links: readonly PricedLink[]) {
    this.#client = client;
    this.#gateway = gateway;
    this.#book = book;
    this.#links = links.filter((link) => link.wayOut);
  }

  /** Links as priced at `nowMs`; new prices go to the store, where costs are computed from them. */
  async planLinks(nowMs: number): Promise<PlanLink[]> {
    const now = new Date(nowMs);
    const monthStart = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1) / 1000;
    const rows = await this.#client.query<{ linkId: string; octets: number }>(
      `SELECT linkId, toFloat64(sum(octetsOut)) AS octets FROM usage_1h
       WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) GROUP BY linkId`,
      { params: { gateway: this.#gateway, from: monthStart } },
    );
    const sent = new Map(rows.map((row) => [row.linkId, Number(row.octets) / BYTES_PER_GB]));
    const links: PlanLink[] = [];
    for (const link of this.#links) {
      const tariff = this.#book.tariff(link.tariff);
      links.push({
        linkId: link.linkId,
        network: link.network,
        capacityBps: link.capacity,
        usdPerGb: marginalUsdPerGb(tariff, sent.get(link.linkId) ?? 0),
        portHourUsd: tariff.portHourUsd,
        tariffId: link.tariff,
        healthy: true,
        ...(tariff.circuit === undefined
          ? {}
          : { circuit: await this.#circuitOf(link, tariff.circuit, nowMs) }),
        ...(tariff.burstable === undefined
          ? {}
          : {
              burst: await burstState(this.#client, this.#gateway, link.linkId, tariff.burstable, nowMs),
            }),
      });
    }
    await this.#writeDown(links, nowMs);
    return links;
  }

  /** A circuit has had its step since the first price that was written down with its present capacity. */
  async #circuitOf(link: PricedLink, circuit: Circuit, nowMs: number): Promise<CircuitState> {
    const [row] = await this.#client.query<{ sinceMs: number; before: number }>(
      `SELECT toFloat64(toUnixTimestamp64Milli(minIf(validFrom, validFrom > last))) AS sinceMs, countIf(validFrom <= last) AS before
       FROM (SELECT validFrom, maxIf(validFrom, capacityBps != {capacity:Float64}) OVER () AS last FROM link_prices
         WHERE gateway = {gateway:String} AND linkId = {linkId:String} AND validFrom <= fromUnixTimestamp64Milli({now:Int64}))`,
      {
        params: { gateway: this.#gateway, linkId: link.linkId, capacity: link.capacity, now: nowMs },
      },
    );
    // Without an earlier step on record the circuit is older than the record.
    const known = row !== undefined && Number(row.before) > 0 && Number(row.sinceMs) > 0;
    return {
      ...circuit,
      currentMbps: link.capacity / 1e6,
      ...(known ? { sinceMs: Number(row.sinceMs) } : {}),
    };
  }

  async #writeDown(links: readonly PlanLink[], nowMs: number): Promise<void> {
    const changed = links.filter((link) => this.#written.get(link.linkId) !== priceKey(link));
    if (changed.length > 0) {
      await this.#client.insertRows(
        'link_prices',
        changed.map((link) => ({
          validFrom: new Date(nowMs).toISOString(),
          gateway: this.#gateway,
          linkId: link.linkId,
          network: link.network,
          tariffId: link.tariffId,
          usdPerGb: link.usdPerGb,
          portHourUsd: link.portHourUsd,
          capacityBps: link.capacityBps,
        })),
      );
      for (const link of changed) this.#written.set(link.linkId, priceKey(link));
    }
    if (this.#tariffsWritten) return;
    const tariffs = [...new Set(this.#links.map((link) => link.tariff))].map((id) => this.#book.tariff(id));
    const rows = tariffs.flatMap((tariff) =>
      itemsOf(tariff).map(([item, price]) => ({
        valid: tariff.date.slice(0, 10),
        gateway: this.#gateway,
        tariffId: tariff.tariffId,
        item,
        price,
        currency: tariff.currency,
        source: tariff.source,
        updated: new Date(nowMs).toISOString(),
      })),
    );
    if (rows.length > 0) await this.#client.insertRows('prices', rows);
    this.#tariffsWritten = true;
  }
}

const priceKey = (link: PlanLink): string =>
  JSON.stringify([link.tariffId, link.usdPerGb, link.portHourUsd, link.capacityBps]);

/** What a tariff prices, one line each; units are in the names. */
function itemsOf(tariff: Tariff): [item: string, price: number][] {
  let from = 0;
  const tiers = tariff.egress.map(({ upToGb, usdPerGb }): [string, number] => {
    const item = `egress per GB from ${from} GB`;
    from = upToGb ?? from;
    return [item, usdPerGb];
  });
  const others: [string, number][] = [
    ['port-hour', tariff.portHourUsd],
    ['month', tariff.monthUsd],
    ['commit per month', tariff.commitUsdPerMonth],
    ['ingress per GB', tariff.ingressUsdPerGb],
    ['processed per GB', tariff.processedUsdPerGb],
    ['burstable per Mbit/s and month', tariff.burstable?.usdPerMbpsMonth ?? 0],
    ...(tariff.circuit?.steps ?? []).map((step): [string, number] => [
      `circuit of ${step.mbps} Mbit/s per month`,
      step.usdPerMonth,
    ]),
  ];
  return [...tiers, ...others.filter(([, price]) => price > 0)];
}
