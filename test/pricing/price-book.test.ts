import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  egressUsd,
  importAwsPriceList,
  importCsv,
  marginalUsdPerGb,
  monthEgressUsd,
  PriceBook,
} from '../../src/pricing/index.js';

const book = (tariff: string): string => `version: 1
instances: []
tariffs:
  - tariffId: t
    description: d
    source: s
    date: 2026-01-01
${tariff.replace(/^/gm, '    ')}
`;

describe('the price book that ships', () => {
  const shipped = PriceBook.load();

  it('says where every price comes from, and when', () => {
    for (const id of shipped.tariffIds) {
      expect(shipped.tariff(id).source).not.toBe('');
      expect(shipped.tariff(id).date).toMatch(/\d{4}/);
    }
    for (const id of shipped.instanceIds) expect(shipped.instance(id).source).not.toBe('');
  });

  it('bills volume as if every gigabyte were bought at its own price', () => {
    const tiered = shipped.tariffIds.map((id) => shipped.tariff(id));
    fc.assert(
      fc.property(
        fc.constantFrom(...tiered),
        fc.nat({ max: 2000 }).map((n) => n * 100),
        fc.nat({ max: 400 }),
        (tariff, soFar, more) => {
          let sum = 0;
          for (let gb = 0; gb < more; gb += 1) sum += marginalUsdPerGb(tariff, soFar + gb);
          expect(egressUsd(tariff, soFar, more)).toBeCloseTo(sum, 6);
          expect(monthEgressUsd(tariff, soFar + more)).toBeGreaterThanOrEqual(monthEgressUsd(tariff, soFar));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a wrong price book', () => {
  it.each([
    ['a negative price', 'egress: [{ usdPerGb: -1 }]', /negative/],
    ['a missing price', 'egress: [{}]', /usdPerGb/],
    ['a gap between tiers', 'egress: [{ usdPerGb: 1 }, { usdPerGb: 2 }]', /gap/],
    [
      'tiers that shrink',
      'egress: [{ usdPerGb: 1, upToGb: 10 }, { usdPerGb: 1, upToGb: 5 }, { usdPerGb: 2 }]',
      /grow/,
    ],
    ['another currency', 'currency: EUR\negress: [{ usdPerGb: 1 }]', /USD/],
    [
      'a time zone that is none',
      'egress: [{ usdPerGb: 0 }]\nburstable: { usdPerMbpsMonth: 1, timeZone: Mars }',
      /time zone/,
    ],
    [
      'circuit steps that shrink',
      'egress: [{ usdPerGb: 0 }]\ncircuit: { steps: [{ mbps: 10, usdPerMonth: 1 }, { mbps: 5, usdPerMonth: 2 }] }',
      /grow/,
    ],
  ])('is refused for %s, with the line', (_, text, words) => {
    const parse = () => PriceBook.parse(book(text), 'b.yaml');
    expect(parse).toThrowError(expect.objectContaining({ code: 'TG_PRICING_INVALID' }));
    expect(parse).toThrowError(words);
    expect(parse).toThrowError(/b\.yaml:\d+/);
  });

  it('names what there is when asked for what there is not', () => {
    expect(() => PriceBook.load().tariff('x')).toThrowError(/there is no tariff "x"/);
    expect(() => PriceBook.load('/nowhere.yaml')).toThrowError(
      expect.objectContaining({ code: 'TG_PRICING_READ' }),
    );
  });
});

/** The shape of an offer file of the public price list; values as published for us-east-1. */
const offer = (currency = 'USD', begin = '10240') => ({
  formatVersion: 'v1.0',
  offerCode: 'AmazonEC2',
  publicationDate: '2026-09-30T00:00:00Z',
  products: {
    DT: {
      sku: 'DT',
      productFamily: 'Data Transfer',
      attributes: {
        transferType: 'AWS Outbound',
        fromRegionCode: 'us-east-1',
        fromLocation: 'US East (N. Virginia)',
        toLocation: 'External',
      },
    },
    VM: {
      sku: 'VM',
      productFamily: 'Compute Instance',
      attributes: {
        instanceType: 'm5.large',
        vcpu: '2',
        memory: '8 GiB',
        regionCode: 'us-east-1',
        operatingSystem: 'Linux',
        tenancy: 'Shared',
        preInstalledSw: 'NA',
        capacitystatus: 'Used',
      },
    },
    WIN: {
      sku: 'WIN',
      productFamily: 'Compute Instance',
      attributes: {
        instanceType: 'm5.large',
        vcpu: '2',
        memory: '8 GiB',
        regionCode: 'us-east-1',
        operatingSystem: 'Windows',
        tenancy: 'Shared',
      },
    },
  },
  terms: {
    OnDemand: {
      DT: {
        'DT.T': {
          priceDimensions: {
            b: {
              unit: 'GB',
              beginRange: begin,
              endRange: 'Inf',
              pricePerUnit: { [currency]: '0.0850000000' },
            },
            a: {
              unit: 'GB',
              beginRange: '0',
              endRange: '10240',
              pricePerUnit: { [currency]: '0.0900000000' },
            },
          },
        },
      },
      VM: {
        'VM.T': {
          priceDimensions: {
            a: {
              unit: 'Hrs',
              beginRange: '0',
              endRange: 'Inf',
              pricePerUnit: { [currency]: '0.0960000000' },
            },
          },
        },
      },
      WIN: { 'WIN.T': { priceDimensions: { a: { unit: 'Hrs', pricePerUnit: { [currency]: '0.188' } } } } },
    },
  },
});

describe('imports', () => {
  it('reads tiers and instances of a region from AWS', () => {
    const { tariffs, instances } = importAwsPriceList(offer(), 'us-east-1', 'offer.json');
    expect(tariffs).toMatchObject([
      {
        tariffId: 'aws-internet-us-east-1',
        egress: [{ usdPerGb: 0.09, upToGb: 10240 }, { usdPerGb: 0.085 }],
      },
    ]);
    expect(instances).toMatchObject([
      { instanceId: 'm5.large', cpuCores: 2, memoryGiB: 8, usdPerHour: 0.096 },
    ]);
  });

  it.each([
    ['a region that is not in it', () => importAwsPriceList(offer(), 'eu-west-9', 'f'), /only us-east-1/],
    ['a foreign currency', () => importAwsPriceList(offer('CNY'), 'us-east-1', 'f'), /CNY/],
    ['a gap', () => importAwsPriceList(offer('USD', '20480'), 'us-east-1', 'f'), /gap/],
    ['something else', () => importAwsPriceList({ a: 1 }, 'us-east-1', 'f'), /no offer file/],
    ['a CSV without its columns', () => importCsv('a,b\n1,2', 'f'), /header/],
    [
      'a CSV with a negative price',
      () => importCsv('tariffId,description,source,date,fromGb,usdPerGb\nt,d,s,2026-01-01,0,-1', 'f'),
      /f:2/,
    ],
    [
      'a CSV that begins late',
      () => importCsv('tariffId,description,source,date,fromGb,usdPerGb\nt,d,s,2026-01-01,5,1', 'f'),
      /begin at 0/,
    ],
  ])('refuse %s', (_, run, words) => {
    expect(run).toThrowError(expect.objectContaining({ code: 'TG_PRICING_IMPORT' }));
    expect(run).toThrowError(words);
  });

  it('reads what a standard year without upfront payment costs, and no other reservation', () => {
    const term = (attributes: Record<string, string>, unit: string, usd: string) => ({
      priceDimensions: { a: { unit, pricePerUnit: { USD: usd } } },
      termAttributes: { LeaseContractLength: '1yr', OfferingClass: 'standard', ...attributes },
    });
    const reserved = (terms: Record<string, ReturnType<typeof term>>) => {
      const file = offer();
      const json = { ...file, terms: { ...file.terms, Reserved: { VM: terms } } };
      return importAwsPriceList(json, 'us-east-1', 'offer.json').instances[0]?.reservedUsdPerHour;
    };
    const others = {
      'VM.A': term({ PurchaseOption: 'All Upfront' }, 'Quantity', '494'),
      'VM.C': term({ PurchaseOption: 'No Upfront', OfferingClass: 'convertible' }, 'Hrs', '0.07'),
      'VM.3': term({ PurchaseOption: 'No Upfront', LeaseContractLength: '3yr' }, 'Hrs', '0.04'),
    };
    expect(reserved(others)).toBeUndefined();
    expect(reserved({ ...others, 'VM.1': term({ PurchaseOption: 'No Upfront' }, 'Hrs', '0.06') })).toBe(0.06);
  });

  it('reads tiers from CSV in any order', () => {
    const [tariff] = importCsv(
      'tariffId,description,source,date,fromGb,usdPerGb\nt,d,s,2026-01-01,100,0.05\nt,d,s,2026-01-01,0,0.1\n',
      'f',
    );
    expect(monthEgressUsd(tariff!, 150)).toBeCloseTo(12.5, 9);
  });
});
