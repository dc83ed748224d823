import fc from 'fast-check';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  demandClasses,
  MAXIMUM_CLASSES,
  type PlanInput,
  Planner,
  runningSince,
  type WorkloadDemand,
} from '../../src/plan/index.js';

const planner = new Planner({ logger: pino({ level: 'silent' }) });
beforeAll(() => planner.start());
afterAll(() => planner.stop());

const PERIODS = 4;
const MBIT = 1e6;

const workload = (workloadId: number, mbit: number, more: Partial<WorkloadDemand> = {}): WorkloadDemand => ({
  workloadId,
  name: `w${workloadId}`,
  medianBps: Array(PERIODS).fill(mbit * MBIT * 0.7),
  peakBps: Array(PERIODS).fill(mbit * MBIT),
  cpuCores: Array(PERIODS).fill(mbit / 10),
  memoryBytes: Array(PERIODS).fill(mbit * 1e8),
  currentShares: { 'public-b': 1 },
  ...more,
});

const input = (workloads: readonly WorkloadDemand[], more: Partial<PlanInput> = {}): PlanInput => ({
  gateway: 'test',
  nowMs: 0,
  periods: Array.from({ length: PERIODS }, (_, t) => ({ startMs: t * 300_000, durationMs: 300_000 })),
  workloads,
  links: [
    {
      linkId: 'circuit',
      network: 'private',
      capacityBps: 100 * MBIT,
      usdPerGb: 0,
      portHourUsd: 0.3,
      healthy: true,
    },
    {
      linkId: 'public-a',
      network: 'public',
      capacityBps: 1000 * MBIT,
      usdPerGb: 0.02,
      portHourUsd: 0,
      healthy: true,
    },
    {
      linkId: 'public-b',
      network: 'public',
      capacityBps: 1000 * MBIT,
      usdPerGb: 0.12,
      portHourUsd: 0,
      healthy: true,
    },
  ],
  hosts: {
    privateCpuCores: 10,
    privateMemoryBytes: 64e9,
    instance: { instanceId: 'm5.large', cpuCores: 2, memoryBytes: 8e9, usdPerHour: 0.096 },
  },
  goals: { maximumUtilisation: 0.8, violationUsdPerMinute: 1 },
  expiresMs: 600_000,
  ...more,
});

const on = (plan: Awaited<ReturnType<Planner['plan']>>, linkId: string, t = 0): number =>
  plan.allocations
    .filter((a) => a.resource === 'bandwidth' && a.target === linkId && a.fromMs === t * 300_000)
    .reduce((sum, a) => sum + a.amount, 0);

describe('a plan', () => {
  test('fills the private circuit first, then the cheaper public link', async () => {
    const plan = await planner.plan(input([workload(1, 60), workload(2, 50)]));
    expect(on(plan, 'circuit')).toBeCloseTo(80 * MBIT, -2);
    expect(on(plan, 'public-a')).toBeCloseTo(30 * MBIT, -2);
    expect(on(plan, 'public-b')).toBe(0);
    expect(plan.binding.map((b) => b.constraint)).toEqual(['room:circuit']);
    expect(plan.solver.status).toBe('Optimal');
  });

  test('costs what its parts cost, worked out by hand', async () => {
    // 42 of 60 Mbit/s are expected; all fit the circuit: 4 periods of 5 minutes of its port, no instance.
    const plan = await planner.plan(input([workload(1, 60)]));
    expect(plan.costUsd).toBeCloseTo(0.3 / 3, 9);
    // Doing nothing: the same on public-b: 42 Mbit/s × 1200 s = 6.3 GB at $0.12, and the port all the same.
    expect(plan.doNothingUsd).toBeCloseTo(6.3 * 0.12 + 0.3 / 3, 6);
  });

  test('rents instances only where the own hosts do not suffice', async () => {
    const rising = workload(1, 60, { cpuCores: [2, 9, 12, 15], memoryBytes: [1e9, 1e9, 1e9, 1e9] });
    const plan = await planner.plan(input([rising]));
    expect(plan.instances.map((i) => i.count)).toEqual([0, 0, 1, 3]);
    expect(plan.doNothingUsd - plan.costUsd).toBeGreaterThan(0);
  });

  test('keeps an instance for its hold, the oldest stop first, and knows after a restart since when each runs', async () => {
    const falling = workload(1, 60, { cpuCores: [13, 9, 9, 9], memoryBytes: [1e9, 1e9, 1e9, 1e9] });
    const { hosts } = input([]);
    const minutes = (n: number) => n * 60_000;
    // Two are needed at first and none later. One has run for 4 minutes, the other starts now; both stay for 10.
    const instance = { ...hosts.instance, holdMs: minutes(10), runningSinceMs: [-minutes(4)] };
    const given = input([falling], { hosts: { ...hosts, instance } });
    const plan = await planner.plan(given);
    expect(plan.instances.map((i) => i.count)).toEqual([2, 2, 0, 0]);
    const stored = JSON.parse(JSON.stringify(plan)) as typeof plan;
    expect(runningSince(stored, minutes(10), minutes(1))).toEqual([-minutes(4), 0]);
    expect(runningSince(stored, minutes(10), minutes(11))).toEqual([]);
    const short = { ...instance, holdMs: minutes(5) };
    const early = await planner.plan(input([falling], { hosts: { ...hosts, instance: short } }));
    expect(early.instances.map((i) => i.count)).toEqual([2, 0, 0, 0]);
  });

  test('keeps a pinned workload on its link and leaves a link that is down', async () => {
    const plan = await planner.plan(input([workload(1, 10, { pinnedTo: 'public-b' }), workload(2, 10)]));
    expect(on(plan, 'public-b')).toBeCloseTo(10 * MBIT, -1);
    const { links } = input([]);
    const down = await planner.plan(
      input([workload(1, 10)], {
        links: links.map((l) => (l.linkId === 'circuit' ? { ...l, healthy: false } : l)),
      }),
    );
    expect(on(down, 'circuit')).toBe(0);
    expect(on(down, 'public-a')).toBeCloseTo(10 * MBIT, -1);
  });

  test('says so when demand finds no room, and still places all of it', async () => {
    const plan = await planner.plan(input([workload(1, 5000)]));
    expect(plan.expectedViolationMinutes).toBeCloseTo(20, 6);
    const total = ['circuit', 'public-a', 'public-b'].reduce((sum, link) => sum + on(plan, link), 0);
    expect(total).toBeCloseTo(5000 * MBIT, -3);
  });

  test('is the same for the same input, and another for another', async () => {
    const once = await planner.plan(input([workload(1, 60), workload(2, 50)]));
    const again = await planner.plan(input([workload(1, 60), workload(2, 50)]));
    const other = await planner.plan(input([workload(1, 61), workload(2, 50)]));
    expect(again).toEqual(once);
    expect(other.id).not.toBe(once.id);
    expect(once.id).toMatch(/^[0-9a-f]{64}$/);
  });

  test('conserves demand, never costs more than doing nothing, and more room never costs more', async () => {
    const rates = fc.array(fc.double({ min: 0.01, max: 400, noNaN: true }), { minLength: 1, maxLength: 14 });
    await fc.assert(
      fc.asyncProperty(rates, fc.double({ min: 0, max: 500, noNaN: true }), async (sizes, extra) => {
        const workloads = sizes.map((mbit, i) => workload(i + 1, mbit));
        const plan = await planner.plan(input(workloads));
        for (const w of workloads) {
          for (let t = 0; t < PERIODS; t += 1) {
            const placed = plan.allocations
              .filter(
                (a) =>
                  a.workloadId === w.workloadId && a.resource === 'bandwidth' && a.fromMs === t * 300_000,
              )
              .reduce((sum, a) => sum + a.amount, 0);
            expect(placed / w.peakBps[t]!).toBeCloseTo(1, 6);
          }
        }
        expect(plan.costUsd).toBeLessThanOrEqual(plan.doNothingUsd + 1e-6);
        const { links } = input([]);
        const roomier = await planner.plan(
          input(workloads, {
            links: links.map((l) => ({ ...l, capacityBps: l.capacityBps + extra * MBIT })),
          }),
        );
        expect(roomier.costUsd).toBeLessThanOrEqual(plan.costUsd + 1e-6);
      }),
      { numRuns: 15 },
    );
  }, 60_000);

  test.each([
    ['no link', () => input([workload(1, 1)], { links: [] }), 'TG_PLAN_NO_LINK'],
    ['no demand', () => input([]), 'TG_PLAN_NO_DEMAND'],
    ['a demand that is not a number', () => input([workload(1, Number.NaN)]), 'TG_PLAN_INPUT'],
    ['a pin to nowhere', () => input([workload(1, 1, { pinnedTo: 'moon' })]), 'TG_PLAN_INPUT'],
  ])('%s is refused by name', async (_name, make, code) => {
    await expect(planner.plan(make())).rejects.toMatchObject({ code });
  });
});

test('classes are few, add up, and keep pins apart', () => {
  const workloads = Array.from({ length: 40 }, (_, i) =>
    workload(i + 1, i + 1, i % 9 === 0 ? { pinnedTo: 'circuit' } : {}),
  );
  const classes = demandClasses(workloads);
  expect(classes.length).toBeLessThanOrEqual(MAXIMUM_CLASSES);
  expect(classes.flatMap((c) => c.members).length).toBe(40);
  const total = (rows: readonly (readonly number[])[]): number => rows.reduce((sum, row) => sum + row[0]!, 0);
  expect(total(classes.map((c) => c.peakBps))).toBeCloseTo(total(workloads.map((w) => w.peakBps)), 3);
  for (const c of classes) expect(new Set(c.members.map((m) => m.pinnedTo)).size).toBe(1);
});
