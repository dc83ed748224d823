import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CircuitState,
  circuitDecision,
  type LinkBurst,
  type PlanInput,
  Planner,
  purchaseOf,
  scheduleCost,
} from '../../src/plan/index.js';

const planner = new Planner({ logger: pino({ level: 'silent' }), searchSeconds: 20 });
beforeAll(() => planner.start());
afterAll(() => planner.stop());

const MBIT = 1e6;
const SAMPLE_MS = 300_000;
const HOUR_MS = 3_600_000;

const hosts: PlanInput['hosts'] = {
  privateCpuCores: 1000,
  privateMemoryBytes: 1e12,
  instance: { instanceId: 'm5.large', cpuCores: 2, memoryBytes: 8e9, usdPerHour: 0.096 },
};

/** One workload over a metered link and one that is billed by its 95th percentile; five-minute periods. */
const input = (mbit: readonly number[], burst: LinkBurst, usdPerGb = 1): PlanInput => ({
  gateway: 'test',
  nowMs: 0,
  periods: mbit.map((_, t) => ({ startMs: t * SAMPLE_MS, durationMs: SAMPLE_MS })),
  workloads: [
    {
      workloadId: 1,
      name: 'w1',
      peakBps: mbit.map((m) => m * MBIT),
      medianBps: mbit.map((m) => m * MBIT),
      cpuCores: mbit.map(() => 0),
      memoryBytes: mbit.map(() => 0),
      currentShares: { metered: 1 },
    },
  ],
  links: [
    { linkId: 'metered', network: 'public', capacityBps: 1e10, usdPerGb, portHourUsd: 0, healthy: true },
    {
      linkId: 'transit',
      network: 'public',
      capacityBps: 1e10,
      usdPerGb: 0,
      portHourUsd: 0,
      healthy: true,
      burst,
    },
  ],
  hosts,
  goals: { maximumUtilisation: 1, violationUsdPerMinute: 1 },
  expiresMs: HOUR_MS,
});

const onTransit = (plan: Awaited<ReturnType<Planner['plan']>>, periods: number): number[] =>
  Array.from({ length: periods }, (_, t) =>
    Math.round(
      plan.allocations
        .filter((a) => a.target === 'transit' && a.fromMs === t * SAMPLE_MS)
        .reduce((sum, a) => sum + a.amount, 0) / MBIT,
    ),
  );

describe('a link that is billed by its 95th percentile', () => {
  test('is filled to its level, and above it where the free samples save most', async () => {
    const burst = { levelBps: 10 * MBIT, freeSamples: 1, sampleMs: SAMPLE_MS, usdPerMbps: 100 };
    const plan = await planner.plan(input([20, 80, 40, 5], burst));
    expect(onTransit(plan, 4)).toEqual([10, 80, 10, 5]);
    expect(plan.binding.map((b) => b.words).join()).toContain('transit is at its billed level');
  });

  test('is filled beyond its level where a month of that costs less than the other link', async () => {
    const burst = { levelBps: 10 * MBIT, freeSamples: 0, sampleMs: SAMPLE_MS, usdPerMbps: 0.01 };
    // 30 Mbit/s for three periods are 3.375 GB, $3.375 elsewhere; here $0.30 for the month.
    const plan = await planner.plan(input([40, 40, 40], burst));
    expect(onTransit(plan, 3)).toEqual([40, 40, 40]);
    expect(plan.costUsd).toBeCloseTo(0.3, 6);
  });

  test('costs what the best of all choices of free samples costs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 0, max: 50 }),
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 1, max: 100 }),
        async (mbit, level, freeSamples, cents) => {
          const burst = {
            levelBps: level * MBIT,
            freeSamples,
            sampleMs: SAMPLE_MS,
            usdPerMbps: cents / 1000,
          };
          const given = input(mbit, burst);
          const plan = await planner.plan(given);
          // The optimum has its extra at 0 or where some period's rate is carried whole.
          let best = Number.POSITIVE_INFINITY;
          for (const cap of [level, ...mbit.filter((m) => m > level)]) {
            for (let mask = 0; mask < 2 ** mbit.length; mask += 1) {
              if (mask.toString(2).replaceAll('0', '').length > freeSamples) continue;
              const rates = mbit.map((m, t) => ((mask >> t) & 1 ? m : Math.min(m, cap)) * MBIT);
              const peak = [[mbit.map((m, t) => m * MBIT - rates[t]!), rates]];
              const cost = scheduleCost(given, { peak, median: peak, instances: mbit.map(() => 0) });
              best = Math.min(best, cost.usd);
            }
          }
          expect(plan.costUsd).toBeCloseTo(best, 3);
        },
      ),
      { numRuns: 15, seed: 4 },
    );
  });

  test('refuses a state that cannot be', async () => {
    const burst = { levelBps: -1, freeSamples: 1, sampleMs: SAMPLE_MS, usdPerMbps: 1 };
    await expect(planner.plan(input([1], burst))).rejects.toThrow(/transit has a negative level/);
  });
});

describe('instances', () => {
  const bought = (usdPerHour: number, interruptionPerHour: number, violationUsdPerMinute = 1) =>
    purchaseOf({
      hosts: { ...hosts, instance: { ...hosts.instance, spot: { usdPerHour, interruptionPerHour } } },
      goals: { maximumUtilisation: 1, violationUsdPerMinute },
    });

  test('are bought as spot only where the minutes without them cost less than that saves', () => {
    expect(bought(0.03, 0.001)).toMatchObject({ kind: 'spot' });
    // 0.03 + 0.001 × 15 min × $1.
    expect(bought(0.03, 0.001).usdPerHour).toBeCloseTo(0.045, 9);
    expect(bought(0.03, 0.01)).toMatchObject({ kind: 'on-demand', usdPerHour: 0.096 });
    expect(bought(0.03, 0.01, 0.1)).toMatchObject({ kind: 'spot' });
    expect(bought(0.03, 0.01).words).toContain('1.0 % an hour are taken back');
  });

  test('that run throughout are named for reserving, with what that saves', async () => {
    const given = input([1, 1], { levelBps: 0, freeSamples: 0, sampleMs: SAMPLE_MS, usdPerMbps: 0 });
    const plan = await planner.plan({
      ...given,
      workloads: given.workloads.map((w) => ({ ...w, cpuCores: [6, 4] })),
      hosts: {
        ...hosts,
        privateCpuCores: 0,
        instance: { ...hosts.instance, reservedUsdPerHour: 0.06 },
      },
    });
    expect(plan.purchase?.reserve).toContain('2 × m5.large run throughout');
    expect(plan.purchase?.reserve).toContain('$0.0720 an hour');
  });
});

describe('a circuit that comes in steps', () => {
  const circuit: CircuitState = {
    steps: [
      { mbps: 10, usdPerMonth: 60 },
      { mbps: 100, usdPerMonth: 250 },
      { mbps: 1000, usdPerMonth: 1000 },
    ],
    leadHours: 24,
    minimumHoldHours: 720,
    coolDownHours: 48,
    currentMbps: 10,
  };
  const nowMs = Date.UTC(2026, 9, 10);
  const decide = (state: CircuitState, mbit: readonly number[], elsewhereUsdPerGb = 0.05) =>
    circuitDecision(
      'line',
      state,
      mbit.map((m) => ({ bps: m * MBIT, durationMs: HOUR_MS })),
      { nowMs, maximumUtilisation: 1, elsewhereUsdPerGb },
    );

  test('grows when that is cheaper than the overflow, and stands after its lead time', () => {
    // 40 Mbit/s over the step of 10 are 13,140 GB a month, $657 elsewhere.
    const decision = decide(circuit, [50, 50]);
    expect(decision).toMatchObject({ mbps: 100, changes: true, fromMs: nowMs + 24 * HOUR_MS });
    expect(decision.words).toContain('would save $467.00 a month');
    expect(decide(circuit, [12, 12])).toMatchObject({ mbps: 10, changes: false });
  });

  test('waits for the cool-down, and to shrink for the minimum hold too', () => {
    const since = (hours: number, currentMbps: number) => ({
      ...circuit,
      currentMbps,
      sinceMs: nowMs - hours * HOUR_MS,
    });
    expect(decide(since(47, 10), [50])).toMatchObject({ changes: false, mbps: 10 });
    expect(decide(since(47, 10), [50]).words).toContain('the cool-down lasts for 1.0 hours more');
    expect(decide(since(48, 10), [50])).toMatchObject({ changes: true, mbps: 100 });
    expect(decide(since(719, 100), [5])).toMatchObject({ changes: false, mbps: 100 });
    expect(decide(since(720, 100), [5])).toMatchObject({ changes: true, mbps: 10 });
  });

  test('orders nothing while an order is under way', () => {
    const ordered = { mbps: 100, fromMs: nowMs + HOUR_MS };
    expect(decide({ ...circuit, ordered }, [900])).toMatchObject({ mbps: 100, changes: false });
  });

  test('carries everything where there is no other way, as far as its largest step goes', () => {
    expect(decide(circuit, [50, 200], Number.POSITIVE_INFINITY)).toMatchObject({ mbps: 1000, changes: true });
    expect(decide(circuit, [5000], Number.POSITIVE_INFINITY).mbps).toBe(1000);
  });
});
