import { describe, expect, test } from 'vitest';
import { actuationOf, nextChange } from '../../src/pipeline/plan-words.js';
import type { Plan } from '../../src/plan/index.js';

const period = (t: number) => ({ startMs: t * 1000, durationMs: 1000 });
const bandwidth = (
  workloadId: number,
  target: string,
  t: number,
  amount: number,
): Plan['allocations'][number] => ({
  workloadId,
  resource: 'bandwidth',
  target,
  fromMs: t * 1000,
  untilMs: (t + 1) * 1000,
  amount,
});
const plan = (allocations: Plan['allocations'], counts: readonly number[] = [0, 0]): Plan =>
  ({
    id: 'a'.repeat(64),
    createdMs: 0,
    expiresMs: 5000,
    periods: counts.map((_, t) => period(t)),
    allocations,
    instances: counts.map((count, t) => ({
      instanceId: 'm5.large',
      fromMs: t * 1000,
      untilMs: (t + 1) * 1000,
      count,
    })),
  }) as unknown as Plan;
const nameOf = (id: number): string => `w${id}`;

describe('the next change of a plan', () => {
  test('is the busiest workload that changes its main link', () => {
    const made = plan([
      bandwidth(1, 'a', 0, 10),
      bandwidth(1, 'b', 1, 10),
      bandwidth(2, 'a', 0, 5e6),
      bandwidth(2, 'b', 1, 4e6),
      bandwidth(2, 'a', 1, 1e6),
    ]);
    expect(nextChange(made, 0, nameOf)).toEqual({
      atMs: 1000,
      words: 'w2 moves from a to b, up to 4.00 Mbit/s, and 1 more',
    });
    expect(nextChange(made, 1500, nameOf)).toBeNull();
  });

  test('is a change of instances when nothing moves, and null when nothing changes', () => {
    const still = [bandwidth(1, 'a', 0, 10), bandwidth(1, 'a', 1, 20)];
    expect(nextChange(plan(still, [1, 3]), 0, nameOf)?.words).toBe('start 2 × m5.large');
    expect(nextChange(plan(still, [3, 1]), 0, nameOf)?.words).toBe('stop 2 × m5.large');
    expect(nextChange(plan(still), 0, nameOf)).toBeNull();
  });
});

test('an actuation plan carries rates and shares that add up to one', () => {
  const made = plan([bandwidth(1, 'a', 0, 30), bandwidth(1, 'b', 0, 10)]);
  const { allocations } = actuationOf(made, nameOf);
  expect(allocations.map((a) => [a.target, a.share, a.rateBps])).toEqual([
    ['a', 0.75, 30],
    ['b', 0.25, 10],
  ]);
});
