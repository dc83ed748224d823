import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WorkloadHistory } from '../../src/pipeline/cycle-history.js';
import { periodsOf } from '../../src/pipeline/demand.js';
import { instanceDemand, ownInstances } from '../../src/pipeline/instance-demand.js';
import { InstanceRule, termsOf } from '../../src/pipeline/instance-rule.js';
import { assumptionsSchema, instancesNeeded, type PlanInput } from '../../src/plan/index.js';
import { predictivePolicy } from '../../src/plan/simulate/predictive.js';
import { worldOf } from '../../src/plan/simulate/world.js';

const STEP_MS = 900_000;
const A_DAY = 96;
const GIB = 2 ** 30;
const COEFFICIENTS = { cpuCoresPerGbps: 2, memoryGiBPerGbps: 1 };

const series = (values: readonly number[]) => ({
  startMs: 0,
  stepMs: STEP_MS,
  values: Float64Array.from(values),
});
const workload = (gbps: readonly number[], workloadId = 1): WorkloadHistory => ({
  workloadId,
  links: [
    {
      workloadId,
      linkId: 'l',
      outBps: series(gbps.map((g) => g * 1e9)),
      inBps: series(gbps.map((g) => g * 5e8)),
      packetsPerSecond: series(gbps.map(() => 1)),
      flowsPerSecond: series(gbps.map(() => 1)),
    },
  ],
  resources: undefined,
  model: { cpu: { kind: 'configured' }, memory: { kind: 'configured' } },
});
const axisOf = (steps: number) => series(new Array<number>(steps).fill(0));
const hosts = {
  privateCpuCores: 4,
  privateMemoryBytes: 64 * GIB,
  instance: {
    ...{ instanceId: 'small', cpuCores: 2, memoryBytes: 8 * GIB, usdPerHour: 0.2 },
    ...{ holdMs: 4 * STEP_MS, leadMs: STEP_MS },
  },
};
const settings = (goals: { violationUsdPerMinute: number; maximumViolationMinutes?: number }) => ({
  ...{ stepMs: STEP_MS, seasonsMs: [A_DAY * STEP_MS], coefficients: COEFFICIENTS, hosts },
  goals: { maximumUtilisation: 0.8, ...goals },
});
/** Gbit/s with a day's shape: 1 to 9, with noise of its own. */
const days = (n: number) =>
  Array.from(
    { length: n * A_DAY },
    (_, t) => 5 + 4 * Math.sin((2 * Math.PI * t) / A_DAY) + 0.4 * Math.sin(t * 12.9898),
  );

describe('demand in instances', () => {
  test('is what has to be rented beyond the own hosts, by CPU or by memory', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 20, noNaN: true }),
        (gbps, memoryGiBPerGbps) => {
          const coefficients = { cpuCoresPerGbps: 2, memoryGiBPerGbps };
          const demand = instanceDemand([workload(gbps)], axisOf(gbps.length), coefficients, hosts);
          for (const [i, g] of gbps.entries()) {
            const cpu = (2 * g - hosts.privateCpuCores) / 2;
            const memory = (memoryGiBPerGbps * g - 64) / 8;
            expect(Math.max(0, demand[i]! - ownInstances(hosts))).toBeCloseTo(Math.max(0, cpu, memory), 9);
          }
        },
      ),
    );
  });
});

describe('the rule that gateways rent by', () => {
  test('is the one of the simulation: same demand, same machines', async () => {
    const gbps = days(12);
    const rule = new InstanceRule();
    const goal = settings({ violationUsdPerMinute: 0.5 });
    const begin = 8 * A_DAY;
    const counts: (number | undefined)[] = [];
    for (let end = begin; end <= gbps.length; end += 1)
      counts.push((await rule.decide([workload(gbps.slice(0, end))], axisOf(end), goal))?.count);
    // The simulation of the same: the test begins where the gateway began, an instance does 1 Gbit/s.
    const world = worldOf(
      { startMs: 0, stepMs: STEP_MS, values: Float64Array.from(gbps, (g) => g * 1e9) },
      assumptionsSchema.parse({
        ...{
          scaleP99Bps: 0,
          privateCapacityBps: 2e9,
          egressUsdPerGb: 0,
          leadMs: '15m',
          holdMs: '1h',
        },
        machine: { capacityBps: 1e9, usdPerHour: 0.2, startUsd: 0 },
        ...{ testMs: '4d', violationUsdPerMinute: 0.5 },
      }),
    );
    const { machines } = predictivePolicy(world);
    expect(counts.slice(0, -1)).toEqual([...machines.subarray(begin, gbps.length)]);
    expect(Math.max(...counts.map((n) => n ?? 0))).toBeGreaterThan(5);
  });

  test('begins again when its terms change, and after a gap', async () => {
    const gbps = days(6);
    const once = async (rule: InstanceRule, steps: number, price: number, from = 0) => {
      const axis = { ...axisOf(steps - from), startMs: from * STEP_MS };
      return rule.decide([workload(gbps.slice(0, steps))], axis, settings({ violationUsdPerMinute: price }));
    };
    const rule = new InstanceRule();
    const first = await once(rule, 5 * A_DAY, 1);
    expect(await once(rule, 5 * A_DAY, 1)).toEqual(first);
    const dear = await once(rule, 5 * A_DAY, 1000);
    expect(dear).toEqual(await once(new InstanceRule(), 5 * A_DAY, 1000));
    expect(dear!.words).toContain('$1000 a violation minute');
    // The window has moved on beyond what the rule knows.
    expect(await once(rule, 6 * A_DAY, 1000, 5.5 * A_DAY)).toBeUndefined();
  });

  test('says nothing before it has two days, and nothing of silence', async () => {
    const goal = settings({ violationUsdPerMinute: 1, maximumViolationMinutes: 43.2 });
    const short = days(2).slice(1);
    expect(await new InstanceRule().decide([workload(short)], axisOf(short.length), goal)).toBeUndefined();
    const silence = new Array<number>(5 * A_DAY).fill(0);
    expect(
      await new InstanceRule().decide([workload(silence)], axisOf(silence.length), goal),
    ).toBeUndefined();
    expect(termsOf(goal)).toMatchObject({ maximumViolationPercent: 0.1, violationUsdPerStep: undefined });
    expect(termsOf(settings({ violationUsdPerMinute: 2 }))).toMatchObject({ violationUsdPerStep: 30 });
  });

  test('decides the first period of a plan, and no other; who runs stays for its hold', () => {
    const input = (ruled: number | undefined): PlanInput => ({
      ...{ gateway: 'g', nowMs: 0, expiresMs: 1, links: [] },
      periods: [0, 1, 2].map((i) => ({ startMs: i * 2 * STEP_MS, durationMs: 2 * STEP_MS })),
      workloads: [
        {
          ...{ workloadId: 1, name: 'w', medianBps: [0, 0, 0], peakBps: [0, 0, 0], currentShares: {} },
          ...{ cpuCores: [8, 8, 5], memoryBytes: [0, 0, 0] },
        },
      ],
      hosts: {
        ...hosts,
        instance: {
          ...hosts.instance,
          ...(ruled === undefined ? {} : { ruled: { count: ruled, words: 'so' } }),
        },
      },
      goals: { maximumUtilisation: 0.8, violationUsdPerMinute: 1 },
    });
    expect(instancesNeeded(input(undefined))).toEqual([2, 2, 1]);
    expect(instancesNeeded(input(1))).toEqual([1, 2, 1]);
    expect(instancesNeeded(input(3))).toEqual([3, 3, 1]);
  });
});

test('periods cover the horizon without gap or overlap, the first as long as asked, and grow', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 50 }), (steps, firstSteps) => {
      const periods = periodsOf(7000, 1000, steps, firstSteps);
      const lengths = periods.map((period) => period.durationMs / 1000);
      expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(steps);
      for (const [i, period] of periods.entries())
        expect(period.startMs).toBe(7000 + lengths.slice(0, i).reduce((sum, l) => sum + l * 1000, 0));
      expect(lengths[0]).toBe(Math.min(firstSteps, Math.ceil(steps / 12)));
      for (let i = 1; i < lengths.length - 1; i += 1)
        expect(lengths[i]).toBeGreaterThanOrEqual(lengths[i - 1]!);
      expect(periods.length).toBeLessThanOrEqual(30);
    }),
  );
});
