import type { PlanLink } from '../plan/index.js';
import { marginalUsdPerGb, type PriceBook } from '../pricing/index.js';
import type { StoreClient } from '../store/index.js';

export interface PricedLink {
  readonly linkId: string;
  readonly network: 'private' | 'public';
  readonly wayOut: boolean;
  readonly capacity: number;
  readonly tariff: string;
}

const BYTES_PER_GB = 1e9;

/** The ways out with the price of their next gigabyte: tiers depend on what the month has already carried. */
export class LinkPrices {
  readonly #client: Pick<StoreClient, 'query'>;
  readonly #gateway: string;
  readonly #book: PriceBook;
  readonly #links: readonly PricedLink[];

  constructor(
    client: Pick<StoreClient, 'query'>,
    gateway: string,
    book: PriceBook,
    links: readonly PricedLink[],
  ) {
    this.#client = client;
    this.#gateway = gateway;
    this.#book = book;
    this.#links = links.filter((link) => link.wayOut);
  }

  async planLinks(nowMs: number): Promise<PlanLink[]> {
    const now = new Date(nowMs);
    const monthStart = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1) / 1000;
    const rows = await this.#client.query<{ linkId: string; octets: number }>(
      `SELECT linkId, toFloat64(sum(octetsOut)) AS octets FROM usage_1h
       WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) GROUP BY linkId`,
      { params: { gateway: this.#gateway, from: monthStart } },
    );
    const sent = new Map(rows.map((row) => [row.linkId, Number(row.octets) / BYTES_PER_GB]));
    return this.#links.map((link) => {
      const tariff = this.#book.tariff(link.tariff);
      return {
        linkId: link.linkId,
        network: link.network,
        capacityBps: link.capacity,
        usdPerGb: marginalUsdPerGb(tariff, sent.get(link.linkId) ?? 0),
        portHourUsd: tariff.portHourUsd,
        tariffId: link.tariff,
        healthy: true,
      };
    });
  }
}
