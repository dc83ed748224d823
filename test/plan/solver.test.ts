import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { benchInput } from '../../src/cli/bench/plan-time.js';
import { type Plan, type PlanInput, Planner, planId, type WorkloadDemand } from '../../src/plan/index.js';

const planner = new Planner({ logger: pino({ level: 'silent' }) });
beforeAll(() => planner.start());
afterAll(() => planner.stop());

const HOUR_MS = 3_600_000;
const MBIT = 1e6;

const workload = (
  workloadId: number,
  peakMbit: readonly number[],
  more: Partial<WorkloadDemand> = {},
): WorkloadDemand => ({
  workloadId,
  name: `w${workloadId}`,
  peakBps: peakMbit.map((mbit) => mbit * MBIT),
  medianBps: peakMbit.map((mbit) => mbit * MBIT * 0.8),
  cpuCores: peakMbit.map(() => 0),
  memoryBytes: peakMbit.map(() => 0),
  currentShares: {},
  ...more,
});

const input = (workloads: readonly WorkloadDemand[], more: Partial<PlanInput> = {}): PlanInput => ({
  ...benchInput(1, 1),
  periods: workloads[0]!.peakBps.map((_, t) => ({ startMs: t * HOUR_MS, durationMs: HOUR_MS })),
  workloads,
  links: [
    {
      linkId: 'own',
      network: 'private',
      capacityBps: 100 * MBIT,
      usdPerGb: 0,
      portHourUsd: 0,
      healthy: true,
      latencyMs: 20,
    },
    {
      linkId: 'out',
      network: 'public',
      capacityBps: 1000 * MBIT,
      usdPerGb: 0.05,
      portHourUsd: 0,
      healthy: true,
      latencyMs: 5,
    },
  ],
  goals: { maximumUtilisation: 1, violationUsdPerMinute: 1 },
  ...more,
});

const rate = (plan: Plan, workloadId: number, linkId: string, t: number): number =>
  plan.allocations
    .filter(
      (a) =>
        a.resource === 'bandwidth' &&
        a.workloadId === workloadId &&
        a.target === linkId &&
        a.fromMs === t * HOUR_MS,
    )
    .reduce((sum, a) => sum + a.amount, 0) / MBIT;

/** Checks a plan by what it says alone: rooms, demand, pins, bounds. Independent of the programme. */
function violations(given: PlanInput, plan: Plan): string[] {
  const found: string[] = [];
  for (const [t, period] of given.periods.entries()) {
    const now = plan.allocations.filter((a) => a.resource === 'bandwidth' && a.fromMs === period.startMs);
    for (const link of given.links) {
      const used = now.filter((a) => a.target === link.linkId).reduce((sum, a) => sum + a.amount, 0);
      const room = link.healthy ? link.capacityBps * given.goals.maximumUtilisation : 0;
      if (used > room * (1 + 1e-6) + 1) found.push(`${link.linkId} overloaded at ${t}`);
    }
    for (const w of given.workloads) {
      const own = now.filter((a) => a.workloadId === w.workloadId);
      const placed = own.reduce((sum, a) => sum + a.amount, 0);
      const due = w.peakBps[t]!;
      if (w.deferrableMs === undefined && Math.abs(placed - due) > 1e-6 * due + 1)
        found.push(`${w.name} unserved at ${t}`);
      for (const a of own) {
        const link = given.links.find((l) => l.linkId === a.target)!;
        if (w.pinnedTo !== undefined && w.pinnedTo !== a.target) found.push(`${w.name} left its pin`);
        if (w.latencyBoundMs !== undefined && (link.latencyMs ?? 0) > w.latencyBoundMs)
          found.push(`${w.name} too slow`);
      }
      if (w.splittable === false && own.filter((a) => a.amount > 1).length > 1) found.push(`${w.name} split`);
    }
  }
  return found;
}

describe('a plan under constraints', () => {
  test('keeps a latency bound though the cheaper link has room', async () => {
    const plan = await planner.plan(
      input([workload(1, [50, 50], { latencyBoundMs: 10 }), workload(2, [40, 40])]),
    );
    expect(rate(plan, 1, 'out', 0)).toBeCloseTo(50, 3);
    expect(rate(plan, 2, 'own', 0)).toBeCloseTo(40, 3);
    expect(plan.reasons[0]!.words).toContain('slower');
  });

  test('refuses a bound that no link keeps, and says which would do', async () => {
    const impossible = input([workload(1, [50], { latencyBoundMs: 1 })]);
    await expect(planner.plan(impossible)).rejects.toMatchObject({
      code: 'TG_PLAN_GOALS',
      hint: expect.stringContaining('5 ms, kept by out'),
    });
  });

  test('defers what may wait into free private capacity, within its deadline', async () => {
    const busy = workload(1, [90, 90, 10, 10]);
    const batch = workload(2, [60, 0, 0, 0], { deferrableMs: 3 * HOUR_MS });
    const waiting = await planner.plan(input([busy, batch]));
    expect([0, 1, 2, 3].reduce((sum, t) => sum + rate(waiting, 2, 'own', t), 0)).toBeCloseTo(60, 3);
    const hurried = await planner.plan(input([busy, { ...batch, deferrableMs: HOUR_MS }]));
    expect(rate(hurried, 2, 'own', 0) + rate(hurried, 2, 'own', 1)).toBeCloseTo(20, 3);
    expect(rate(hurried, 2, 'out', 0) + rate(hurried, 2, 'out', 1)).toBeCloseTo(40, 3);
    expect(waiting.costUsd).toBeLessThan(hurried.costUsd);
  });

  test('puts a workload that cannot be split on one link, the best choice of all that there are', async () => {
    const whole = { splittable: false };
    const plan = await planner.plan(
      input([workload(1, [70], whole), workload(2, [60], whole), workload(3, [30], whole)]),
    );
    // Of {70, 60, 30} the largest sum that fits 100 is 70 + 30.
    expect([1, 2, 3].map((id) => rate(plan, id, 'own', 0))).toEqual([70, 0, 30]);
  });

  test('shows what more room would save, as a second plan with more room confirms', async () => {
    const demand = [workload(1, [300, 250])];
    const plan = await planner.plan(input(demand));
    const [first] = input(demand).links;
    const more = await planner.plan(
      input(demand, { links: [{ ...first!, capacityBps: 101 * MBIT }, input(demand).links[1]!] }),
    );
    const perGbps = (plan.costUsd - more.costUsd) * 1000;
    expect(plan.binding[0]!.shadowUsdPerGbps).toBeCloseTo(perGbps, 4);
  });

  test('says which goals conflict and what would do', async () => {
    const goals = { maximumUtilisation: 0.5, violationUsdPerMinute: 1, maximumViolationMinutes: 10 };
    const plan = await planner.plan(input([workload(1, [800])], { goals }));
    expect(plan.conflicts?.[0]).toMatch(/500 Mbit\/s more capacity, or a utilisation of up to 73 %/);
  });

  test('refuses forecasts that are older than their horizon', async () => {
    const stale = input([workload(1, [10])], { nowMs: 3 * HOUR_MS, forecastMs: 0 });
    await expect(planner.plan(stale)).rejects.toMatchObject({ code: 'TG_PLAN_STALE' });
  });

  test('lets the present shares stand when there is no solver, and says so', async () => {
    const idle = new Planner({ logger: pino({ level: 'silent' }) });
    const plan = await idle.plan(input([workload(1, [50], { currentShares: { out: 1 } })]));
    expect(plan.solver.status).toBe('Failed; the present shares stand');
    expect(rate(plan, 1, 'out', 0)).toBeCloseTo(50, 6);
    expect(plan.costUsd).toBeCloseTo(plan.doNothingUsd, 12);
  });

  test('is stopped by work, not by time, so that it is the same on a busy machine; and says so', async () => {
    // Sums of odd sizes that fill nothing exactly: a search that takes many nodes.
    const sizes = Array.from({ length: 26 }, (_, i) => [
      7.3 + ((i * 37) % 23) * 0.61,
      5.1 + ((i * 29) % 19) * 0.83,
    ]);
    const hard = input(sizes.map((mbit, i) => workload(i + 1, mbit, { splittable: false })));
    const limited = new Planner({ logger: pino({ level: 'silent' }), searchNodes: 1, searchSeconds: 60 });
    await limited.start();
    try {
      const [once, again] = [await limited.plan(hard), await limited.plan(hard)];
      expect(once.solver.status).toBe('Work limit; best feasible');
      expect(again.id).toBe(once.id);
      expect(violations(hard, once)).toEqual([]);
    } finally {
      await limited.stop();
    }
  });

  test('says that time ran out, and keeps every constraint that a plan without whole decisions can', async () => {
    const hurried = new Planner({ logger: pino({ level: 'silent' }), searchSeconds: 0 });
    await hurried.start();
    try {
      const plan = await hurried.plan(
        input([workload(1, [70], { splittable: false }), workload(2, [60], { splittable: false })]),
      );
      expect(plan.solver.status).toContain('Time limit hit, another run may find another plan');
      expect(plan.expectedViolationMinutes).toBe(0);
    } finally {
      await hurried.stop();
    }
  });

  test('moves few: who is on a link already stays while it has room', async () => {
    const at = (linkId: string) => ({ currentShares: { [linkId]: 1 } });
    const many = Array.from({ length: 30 }, (_, i) => workload(i + 1, [5], at(i % 3 === 0 ? 'own' : 'out')));
    const plan = await planner.plan(input(many));
    const moved = many.filter(
      (w) => w.currentShares.own === 1 && rate(plan, w.workloadId, 'own', 0) < 5 - 1e-6,
    );
    expect(moved).toEqual([]);
    const split = many.filter(
      (w) => rate(plan, w.workloadId, 'own', 0) > 1e-6 && rate(plan, w.workloadId, 'out', 0) > 1e-6,
    );
    expect(split.length).toBeLessThanOrEqual(1);
  });
});

test('every plan keeps every constraint, costs at least the relaxed one, and its id is its content', async () => {
  const one = fc.record({
    mbit: fc.array(fc.double({ min: 0.1, max: 60, noNaN: true }), { minLength: 3, maxLength: 3 }),
    kind: fc.constantFrom('free', 'pinned', 'bound', 'deferrable', 'whole'),
  });
  const kinds: Record<string, Partial<WorkloadDemand>> = {
    free: {},
    pinned: { pinnedTo: 'out' },
    bound: { latencyBoundMs: 10 },
    deferrable: { deferrableMs: HOUR_MS },
    whole: { splittable: false },
  };
  await fc.assert(
    fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 12 }), async (specs) => {
      const constrained = input(specs.map((s, i) => workload(i + 1, s.mbit, kinds[s.kind])));
      const plan = await planner.plan(constrained);
      expect(violations(constrained, plan)).toEqual([]);
      const relaxed = await planner.plan(
        input(specs.map((s, i) => workload(i + 1, s.mbit, s.kind === 'deferrable' ? kinds.deferrable : {}))),
      );
      expect(plan.costUsd).toBeGreaterThanOrEqual(relaxed.costUsd * (1 - 1e-4) - 1e-6);
      const { id, ...content } = plan;
      expect(planId(content)).toBe(id);
      // What is read back from a store is the same plan.
      expect(planId(JSON.parse(JSON.stringify(content)) as typeof content)).toBe(id);
    }),
    { numRuns: 15 },
  );
}, 90_000);
