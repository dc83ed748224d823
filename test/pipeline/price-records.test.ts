import { expect, test } from 'vitest';
import { PriceRecords, priceItems } from '../../src/pipeline/price-records.js';
import type { PlanLink } from '../../src/plan/index.js';
import { PriceBook } from '../../src/pricing/index.js';

const book = PriceBook.load();
const tariffId = book.tariffIds[0]!;
const link = (usdPerGb: number): PlanLink => ({
  linkId: 'a',
  network: 'public',
  capacityBps: 1e9,
  usdPerGb,
  portHourUsd: 0.1,
  tariffId,
  healthy: true,
});

test('tariffs are written once, a link when its price changes, and what failed is written the next time', async () => {
  const written: [string, readonly Readonly<Record<string, unknown>>[]][] = [];
  let usdPerGb = 0.09;
  let away = true;
  const records = new PriceRecords({
    client: {
      insertRows: async (table, rows) => {
        if (away) throw new Error('away');
        if (rows.length > 0) written.push([table, rows]);
      },
    },
    gateway: 'g',
    book,
  });
  await expect(records.keep([link(usdPerGb)], 1_000)).rejects.toThrow('away');
  away = false;
  await records.keep([link(usdPerGb)], 2_000);
  await records.keep([link(usdPerGb)], 3_000);
  usdPerGb = 0.085;
  await records.keep([link(usdPerGb)], 4_000);
  expect(written.map(([table]) => table)).toEqual(['prices', 'link_prices', 'link_prices']);
  expect(written[0]![1].map(({ item, price }) => ({ item, price }))).toEqual(
    priceItems(book.tariff(tariffId)),
  );
  expect(written[1]![1]).toMatchObject([
    { linkId: 'a', usdPerGb: 0.09, validFrom: '1970-01-01T00:00:02.000Z' },
  ]);
  expect(written[2]![1]).toMatchObject([
    { linkId: 'a', usdPerGb: 0.085, validFrom: '1970-01-01T00:00:04.000Z' },
  ]);
});

test('every tier and fee of every tariff in the book has a name of its own', () => {
  for (const id of book.tariffIds) {
    const items = priceItems(book.tariff(id));
    expect(items.length, id).toBeGreaterThanOrEqual(book.tariff(id).egress.length);
    expect(new Set(items.map(({ item }) => item)).size, id).toBe(items.length);
  }
});
