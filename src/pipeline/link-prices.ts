import type { CircuitState, PlanLink } from '../plan/index.js';
import { type Circuit, marginalUsdPerGb, type PriceBook } from '../pricing/index.js';
import type { StoreClient } from '../store/index.js';
import { burstState } from './month-state.js';
import { sentThisMonthGb } from './month-usage.js';
import { PriceRecords } from './price-records.js';

/** A link as a plan takes it, but for whether it can carry anything now. */
export type PricedLink = Omit<PlanLink, 'healthy'>;

export interface WayOut {
  readonly linkId: string;
  readonly network: 'private' | 'public';
  readonly wayOut: boolean;
  readonly capacity: number;
  readonly tariff: string;
}

type Client = Pick<StoreClient, 'query' | 'insertRows'>;

/** The ways out with the price of their next gigabyte: tiers depend on what the month has already carried. */
export class LinkPrices {
  readonly #client: Client;
  readonly #gateway: string;
  readonly #book: PriceBook;
  readonly #links: readonly WayOut[];
  readonly #records: PriceRecords;

  constructor(client: Client, gateway: string, book: PriceBook, links: readonly WayOut[]) {
    this.#client = client;
    this.#gateway = gateway;
    this.#book = book;
    this.#links = links.filter((link) => link.wayOut);
    this.#records = new PriceRecords({ client, gateway, book });
  }

  /** Links as priced at `nowMs`; new prices go to the store, where costs are computed from them. */
  async priced(nowMs: number): Promise<PricedLink[]> {
    const sent = await sentThisMonthGb(
      (sql, params) => this.#client.query(sql, { params }),
      this.#gateway,
      nowMs,
    );
    const links: PricedLink[] = [];
    for (const link of this.#links) {
      const tariff = this.#book.tariff(link.tariff);
      links.push({
        linkId: link.linkId,
        network: link.network,
        capacityBps: link.capacity,
        usdPerGb: marginalUsdPerGb(tariff, sent.get(link.linkId) ?? 0),
        portHourUsd: tariff.portHourUsd,
        tariffId: link.tariff,
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
    await this.#records.keep(links, nowMs);
    return links;
  }

  /** A circuit has had its step since the first price that was written down with its present capacity. */
  async #circuitOf(link: WayOut, circuit: Circuit, nowMs: number): Promise<CircuitState> {
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
}
