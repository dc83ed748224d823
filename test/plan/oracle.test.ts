import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldMachines } from '../../src/plan/hold.js';
import { type HoldProblem, oracleMachines } from '../../src/plan/simulate/oracle.js';

const problem = (need: number[], holdSteps: number, startUsd: number): HoldProblem => ({
  need: Int32Array.from(need),
  holdSteps,
  usdPerMachineStep: 0.0142,
  startUsd,
});

const costOf = (p: HoldProblem, machines: ArrayLike<number>): number => {
  let usd = 0;
  for (let t = 0; t < machines.length; t += 1) {
    const before = t > 0 ? machines[t - 1]! : 0;
    usd += machines[t]! * p.usdPerMachineStep + Math.max(0, machines[t]! - before) * p.startUsd;
  }
  return usd;
};

/** Independent of the programme: enough machines, and none stopped before its hold, oldest first. */
const isFeasible = (p: HoldProblem, machines: ArrayLike<number>): boolean => {
  let running: number[] = [];
  for (let t = 0; t < machines.length; t += 1) {
    if (machines[t]! < p.need[t]!) return false;
    while (running.length > machines[t]!) {
      const oldest = Math.min(...running);
      if (t - oldest < p.holdSteps) return false;
      running.splice(running.indexOf(oldest), 1);
    }
    while (running.length < machines[t]!) running = [...running, t];
  }
  return true;
};

/** Every schedule there is, for tiny problems. */
function bruteForce(p: HoldProblem): number {
  const top = Math.max(...p.need);
  let best = Number.POSITIVE_INFINITY;
  const walk = (machines: number[]): void => {
    if (machines.length === p.need.length) {
      if (isFeasible(p, machines)) best = Math.min(best, costOf(p, machines));
      return;
    }
    for (let n = p.need[machines.length]!; n <= top; n += 1) walk([...machines, n]);
  };
  walk([]);
  return best;
}

const needs = (length: number, top: number) =>
  fc.array(fc.integer({ min: 0, max: top }), { minLength: length, maxLength: length });

describe('the oracle', () => {
  it('costs what trying every schedule costs', async () => {
    await fc.assert(
      fc.asyncProperty(needs(7, 2), fc.integer({ min: 1, max: 4 }), async (need, hold) => {
        const p = problem(need, hold, 0.01);
        const machines = await oracleMachines(p);
        expect(isFeasible(p, machines)).toBe(true);
        expect(costOf(p, machines)).toBeCloseTo(bruteForce(p), 9);
      }),
      { numRuns: 25 },
    );
  });

  it('is integral as a linear programme: the mixed-integer programme finds nothing cheaper', async () => {
    await fc.assert(
      fc.asyncProperty(
        needs(60, 8),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(0, 0.01, 0.2),
        async (need, hold, startUsd) => {
          const p = problem(need, hold, startUsd);
          const linear = await oracleMachines(p);
          expect(costOf(p, linear)).toBeCloseTo(costOf(p, await oracleMachines(p, true)), 6);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('is never dearer than the first-in-first-out rule with the same foresight, which is feasible', async () => {
    await fc.assert(
      fc.asyncProperty(needs(50, 6), fc.integer({ min: 1, max: 12 }), async (need, hold) => {
        const p = problem(need, hold, 0.01);
        const held = new HeldMachines(hold);
        const rule = need.map((n, t) => held.next(n, t));
        expect(isFeasible(p, rule)).toBe(true);
        expect(costOf(p, await oracleMachines(p))).toBeLessThanOrEqual(costOf(p, rule) + 1e-9);
      }),
      { numRuns: 20 },
    );
  });
});
