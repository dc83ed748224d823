import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  billingMonth,
  burstableBill,
  freeSamples,
  invoiceOf,
  PriceBook,
  tariffOf,
  toCent,
} from '../../src/pricing/index.js';

const shipped = PriceBook.load();
const october = billingMonth('2026-10');
const GB = 1e9;
const usage = (octetsOut: number, octetsIn = 0) => ({ linkId: 'l', octetsOut, octetsIn });
const total = (tariffId: string, out: number, inbound = 0, month = october) =>
  invoiceOf(month, [{ tariff: shipped.tariff(tariffId), usage: usage(out, inbound) }]).totalUsd;

describe('published examples', () => {
  it('5,120 GB to the internet, 100 free: 5,020 × $0.09 (cloud-cost-557.pages.dev, June 2026: "~$452")', () => {
    expect(total('aws-internet-us', 5120 * GB)).toBe(451.8);
  });

  it('500 GB between zones is paid in both directions: 1,000 × $0.01 (the same page: "~$10")', () => {
    // The page counts 500 GB twice; a link sees them as sent and, at the other end, as received.
    expect(total('aws-inter-zone', 500 * GB, 500 * GB)).toBe(10);
  });

  it('10 TB, then 40, then 100, then the rest, by hand', () => {
    // (10240 - 100)·0.09 + 40960·0.085 + 102400·0.07 + 6400·0.05 = 912.60 + 3481.60 + 7168.00 + 320.00
    expect(total('aws-internet-us', 160_000 * GB)).toBe(11_882.2);
  });

  it('a NAT gateway for a 31-day month with 1 TB: 744 h × $0.045 + 1,000 × $0.045', () => {
    expect(total('aws-nat-gateway-us', 1000 * GB)).toBe(78.48);
  });

  it('36 hours of a 30-day month burst for free (myrohost.com, 3winfra.com)', () => {
    expect(freeSamples({ percentile: 95 }, 30 * 288) * 5).toBe(36 * 60);
  });

  it('of 8,000 samples the 400 highest are ignored, and the 401st is charged (rockynet.com)', () => {
    const terms = { ...shipped.tariff('transit-p95-1g').burstable!, commitMbps: 0, roundUpMbps: 0 };
    const bill = (bursts: number) => {
      const outBps = new Float64Array(8000).fill(10e6).fill(900e6, 0, bursts);
      return burstableBill(terms, { outBps, inBps: new Float64Array(8000) }).measuredBps;
    };
    expect(bill(400)).toBe(10e6);
    expect(bill(401)).toBe(900e6);
  });
});

describe('a month that is running', () => {
  const line = tariffOf({
    ...{ tariffId: 'line', description: 'd', source: 's', date: '2026-01-01', egress: [{ usdPerGb: 0.1 }] },
    ...{ portHourUsd: 0.3, monthUsd: 31, commitUsdPerMonth: 620 },
    circuit: { steps: [{ mbps: 100, usdPerMonth: 310 }] },
  });
  const day10 = october.startMs + 10 * 86_400_000;
  const bill = (untilMs?: number) =>
    invoiceOf(
      october,
      [
        {
          tariff: line,
          usage: { ...usage(100 * GB), circuitMbps: 100, ...(untilMs === undefined ? {} : { untilMs }) },
        },
      ],
      october.startMs + 86_400_000,
    );
  const amounts = (untilMs?: number) =>
    Object.fromEntries(bill(untilMs).lines.map(({ item, amountUsd }) => [item, amountUsd]));

  it('owes monthly prices in proportion to the days so far, volume in full, and says what will be owed', () => {
    // Ten of 31 days: 240 h × $0.30, 10 of $31, 100 of $310, 200 of $620 less the $192 that were used.
    expect(amounts(day10)).toEqual({ port: 72, fee: 10, egress: 10, circuit: 100, commit: 8 });
    expect(bill(day10).lines.find(({ item }) => item === 'circuit')?.words).toContain(
      '10.0 of 31 days so far, $310.00 at the end of the month',
    );
    expect(bill(day10).notes).toEqual([
      expect.stringMatching(/not over: this is the bill until 2026-10-11T00:00 UTC/),
      expect.stringMatching(/records begin at 2026-10-02T00:00 UTC.*ledger/),
    ]);
  });

  it('owes all of them when it is over, and says nothing of it', () => {
    expect(amounts()).toEqual({ port: 223.2, fee: 31, egress: 10, circuit: 310, commit: 45.8 });
    expect(amounts(october.endMs)).toEqual(amounts());
    expect(bill(october.endMs).notes).toHaveLength(1);
  });

  it('never owes less as time goes by', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1, max: 2, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (at, more) => {
          const length = october.endMs - october.startMs;
          const [early, late] = [at, at + more].map(
            (part) => bill(october.startMs + Math.round(part * length)).totalUsd,
          );
          // Each of five lines is rounded by itself.
          expect(late).toBeGreaterThanOrEqual(early! - 0.05);
        },
      ),
    );
  });
});

describe('burstable billing', () => {
  const terms = shipped.tariff('transit-p95-1g').burstable!;
  const flat = (mbps: number, n = 8928) => new Float64Array(n).fill(mbps * 1e6);

  it('owes the commit at rest and the overage above it, in whole Mbit/s', () => {
    expect(burstableBill(terms, { outBps: flat(10), inBps: flat(1) }).usd).toBe(1000);
    const over = burstableBill(terms, { outBps: flat(1200.2), inBps: flat(1) });
    expect(over).toMatchObject({ billedMbps: 1201, overageMbps: 201, usd: 1301.5 });
  });

  it('takes the larger direction, the sum, or out alone', () => {
    const samples = { outBps: flat(1100), inBps: flat(1400) };
    const billed = (rule: 'max' | 'sum' | 'out') => burstableBill({ ...terms, rule }, samples).billedMbps;
    expect([billed('max'), billed('sum'), billed('out')]).toEqual([1400, 2500, 1100]);
  });

  it('is the value with at most 5 % of the samples above it, whatever their order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1000 }), { minLength: 20, maxLength: 400 }), (values) => {
        const outBps = Float64Array.from(values, (v) => v * 1e6);
        const measured = burstableBill({ ...terms, rule: 'out' }, { outBps, inBps: outBps }).measuredBps;
        expect(outBps).toContain(measured);
        expect(outBps.filter((v) => v > measured).length).toBeLessThanOrEqual(values.length * 0.05);
        const next = outBps.filter((v) => v >= measured).length;
        expect(next).toBeGreaterThan(Math.floor(values.length * 0.05));
      }),
    );
  });

  it('counts missing samples as no traffic', () => {
    expect(burstableBill(terms, { outBps: flat(5000, 100), inBps: flat(0, 100) }, 8928).billedMbps).toBe(
      1000,
    );
  });
});

describe('an invoice', () => {
  it('explains every line, and its total is the sum of its lines to the cent', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ id: fc.constantFrom(...shipped.tariffIds), out: fc.nat(), inbound: fc.nat() }), {
          maxLength: 5,
        }),
        (links) => {
          const invoice = invoiceOf(
            october,
            links.map((l) => ({ tariff: shipped.tariff(l.id), usage: usage(l.out * 1e5, l.inbound * 1e5) })),
          );
          const cents = invoice.lines.reduce((sum, line) => sum + Math.round(line.amountUsd * 100), 0);
          expect(Math.round(invoice.totalUsd * 100)).toBe(cents);
          for (const line of invoice.lines) {
            expect(line.words).not.toBe('');
            expect(line.amountUsd).toBe(toCent(line.amountUsd));
          }
        },
      ),
    );
  });

  it('rounds halves up', () => {
    expect([toCent(0.125), toCent(1.005), toCent(2.674999)]).toEqual([0.13, 1.01, 2.67]);
  });

  it('knows months of the contract’s own clock', () => {
    expect(billingMonth('2026-10', 'Europe/Vienna').hours).toBe(745);
    expect(billingMonth('2026-03', 'Europe/Vienna').hours).toBe(743);
    expect(billingMonth('2026-10', 'Europe/Vienna').startMs).toBe(Date.parse('2026-10-01T00:00:00+02:00'));
    expect(billingMonth('2026-12').endMs).toBe(Date.UTC(2027, 0, 1));
    expect(() => billingMonth('2026-13')).toThrowError(expect.objectContaining({ code: 'TG_PRICING_MONTH' }));
  });
});
