import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LedgerLink, type LedgerUsage, ledgerOf } from '../../src/plan/index.js';
import { billingMonth, invoiceLines, type TariffSettings, tariffOf } from '../../src/pricing/index.js';

const STEP_MS = 3_600_000;
const october = billingMonth('2026-10');

const tariff = (settings: Partial<TariffSettings>) =>
  tariffOf({
    ...{ tariffId: 't', description: 'd', source: 's', date: '2026-01-01', egress: [{ usdPerGb: 0 }] },
    ...settings,
  });
const link = (linkId: string, settings: Partial<TariffSettings>, mbps = 1000): LedgerLink => ({
  linkId,
  capacityBps: mbps * 1e6,
  tariff: tariff(settings),
});
/** Hour after hour of October: gigabytes out of one workload, on a link. */
const usage = (gb: readonly number[], linkId: string, workloadId = 1): LedgerUsage[] =>
  gb.map((out, hour) => ({
    stepStartMs: october.startMs + hour * STEP_MS,
    workloadId,
    linkId,
    octetsOut: out * 1e9,
    octetsIn: out * 4e8,
  }));
const sum = <Row>(rows: readonly Row[], pick: (row: Row) => number): number =>
  rows.reduce((total, row) => total + pick(row), 0);

describe('the ledger', () => {
  const kinds: Record<string, Partial<TariffSettings>> = {
    'tiers with free volume': {
      freeGbPerMonth: 10,
      egress: [{ upToGb: 100, usdPerGb: 0.09 }, { usdPerGb: 0.05 }],
      portHourUsd: 0.3,
    },
    'both directions, processing and a fee': {
      egress: [{ usdPerGb: 0.01 }],
      ingressUsdPerGb: 0.02,
      processedUsdPerGb: 0.045,
      monthUsd: 31,
    },
    'the 95th percentile': {
      burstable: { commitMbps: 2, usdPerMbpsMonth: 10, overageUsdPerMbpsMonth: 15, sampleMinutes: 60 },
    },
    'a circuit in steps': {
      circuit: {
        steps: [
          { mbps: 100, usdPerMonth: 250 },
          { mbps: 1000, usdPerMonth: 900 },
        ],
      },
    },
    'a commit of spending': { egress: [{ usdPerGb: 0.01 }], commitUsdPerMonth: 500 },
  };

  test.each(Object.entries(kinds))('sums up to the invoice of the month: %s', (_, settings) => {
    const gb = Array.from({ length: 744 }, (_hour, t) => 1 + Math.sin(t / 5) + (t % 97 === 0 ? 20 : 0));
    const own = link('out', settings);
    const rows = usage(gb, 'out');
    const days = ledgerOf([own], rows, STEP_MS);
    expect(days).toHaveLength(31);
    const rate = (of: (u: LedgerUsage) => number) => Float64Array.from(rows, (u) => (of(u) * 8000) / STEP_MS);
    const lines = invoiceLines(
      own.tariff,
      {
        linkId: 'out',
        octetsOut: sum(rows, (u) => u.octetsOut),
        octetsIn: sum(rows, (u) => u.octetsIn),
        samples: { outBps: rate((u) => u.octetsOut), inBps: rate((u) => u.octetsIn) },
        circuitMbps: own.capacityBps / 1e6,
      },
      october,
    );
    expect(sum(days, (day) => day.actualUsd)).toBeCloseTo(
      sum(lines, (line) => line.amountUsd),
      1,
    );
    // A single link leaves nothing to move.
    if (own.tariff.circuit === undefined) {
      expect(sum(days, (day) => day.doNothingUsd)).toBeCloseTo(
        sum(days, (day) => day.actualUsd),
        9,
      );
      expect(sum(days, (day) => day.regretUsd)).toBeCloseTo(0, 9);
    }
  });

  test.each(Object.entries(kinds))('sums up to the invoice of a month that is running: %s', (_, settings) => {
    const hours = 300;
    const own = link('out', settings);
    const rows = usage(
      Array.from({ length: hours }, (_hour, t) => 1 + Math.sin(t / 5) + (t % 97 === 0 ? 20 : 0)),
      'out',
    );
    const rate = (of: (u: LedgerUsage) => number) => Float64Array.from(rows, (u) => (of(u) * 8000) / STEP_MS);
    const lines = invoiceLines(
      own.tariff,
      {
        linkId: 'out',
        octetsOut: sum(rows, (u) => u.octetsOut),
        octetsIn: sum(rows, (u) => u.octetsIn),
        samples: { outBps: rate((u) => u.octetsOut), inBps: rate((u) => u.octetsIn) },
        circuitMbps: own.capacityBps / 1e6,
        untilMs: october.startMs + hours * STEP_MS,
      },
      october,
    );
    const untilMs = october.startMs + hours * STEP_MS;
    expect(sum(ledgerOf([own], rows, STEP_MS, [], untilMs), (day) => day.actualUsd)).toBeCloseTo(
      sum(lines, (line) => line.amountUsd),
      1,
    );
  });

  test('perfect foresight keeps bursts in the samples that are free', () => {
    const transit = link('transit', {
      burstable: { usdPerMbpsMonth: 10, sampleMinutes: 60, roundUpMbps: 0 },
    });
    const metered = link('metered', { egress: [{ usdPerGb: 1 }] });
    // 37 of 744 samples are free; 30 bursts of 45 GB, 100 Mbit/s, went over the metered link.
    const bursts = Array.from({ length: 744 }, (_, t) => (t % 24 === 0 && t < 720 ? 45 : 0));
    const days = ledgerOf([transit, metered], usage(bursts, 'metered'), STEP_MS);
    expect(sum(days, (day) => day.actualUsd)).toBeCloseTo(30 * 45, 6);
    expect(sum(days, (day) => day.perfectUsd)).toBeCloseTo(0, 6);
  });

  test('never costs less than perfect foresight', () => {
    const links = [
      link('own', { portHourUsd: 0.1 }, 10),
      link('transit', { burstable: { usdPerMbpsMonth: 3, sampleMinutes: 60 } }),
      link('out', { egress: [{ upToGb: 20, usdPerGb: 0.1 }, { usdPerGb: 0.05 }] }),
    ];
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            gb: fc.double({ min: 0, max: 20, noNaN: true }),
            on: fc.constantFrom('own', 'transit', 'out'),
          }),
          { minLength: 2, maxLength: 60 },
        ),
        (hours) => {
          const rows = hours.flatMap(({ gb, on }, hour) =>
            usage([gb], on, hour % 3).map((u) => ({ ...u, stepStartMs: u.stepStartMs + hour * STEP_MS })),
          );
          const days = ledgerOf(links, rows, STEP_MS);
          expect(sum(days, (day) => day.regretUsd)).toBeGreaterThanOrEqual(-1e-9);
          expect(sum(days, (day) => day.gb)).toBeCloseTo(
            sum(hours, (h) => h.gb),
            6,
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  test('counts instances as they were bought, as doing nothing would have, and reserved', () => {
    const rows = usage([1, 1, 1, 1], 'out');
    const rented = [2, 3, 5, 2].map((count, hour) => ({
      stepStartMs: october.startMs + hour * STEP_MS,
      count,
      usdPerHour: 0.1,
      onDemandUsdPerHour: 0.1,
      reservedUsdPerHour: 0.06,
    }));
    const [day] = ledgerOf([link('out', { egress: [{ usdPerGb: 1 }] })], rows, STEP_MS, rented);
    // 12 instance-hours; 5 for four hours; 8 hours reserved and 4 on demand; and 4 GB at $1.
    expect(day).toMatchObject({ instancesUsd: expect.closeTo(1.2, 9) });
    expect(day!.actualUsd).toBeCloseTo(5.2, 9);
    expect(day!.doNothingUsd).toBeCloseTo(6, 9);
    expect(day!.perfectUsd).toBeCloseTo(4 + 0.48 + 0.4, 9);
  });
});
