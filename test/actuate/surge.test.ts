import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type ActuationPlan,
  type DesiredAllocation,
  DryRunActuator,
  FileLease,
  movedAway,
  PlanApplier,
  SurgeWatch,
} from '../../src/actuate/index.js';
import { MemoryJournal } from '../support/memory-journal.js';

const NOW = 1_700_000_000_000;
const links = [
  { linkId: 'small', interfaceName: 'a', capacityBps: 10e6 },
  { linkId: 'large', interfaceName: 'b', capacityBps: 1e9 },
  { linkId: 'other', interfaceName: 'c', capacityBps: 100e6 },
];
const share = (workloadId: number, target: string, part: number, rateBps?: number): DesiredAllocation => ({
  workloadId,
  workloadName: `w${workloadId}`,
  resource: 'bandwidth',
  target,
  share: part,
  ...(rateBps === undefined ? {} : { rateBps }),
  fromMs: NOW - 1000,
  untilMs: NOW + 60_000,
});
const plan = (...allocations: DesiredAllocation[]): ActuationPlan => ({
  planId: 'forecast',
  createdMs: NOW,
  expiresMs: NOW + 60_000,
  allocations,
});

function stage(expected: ActuationPlan | undefined, maxShareMoved = 1) {
  let nowMs = NOW;
  let carried: Record<string, number> = {};
  const applied: ActuationPlan[] = [];
  const watch = new SurgeWatch({
    links,
    rates: async () => new Map(Object.entries(carried)),
    plan: () => expected,
    following: () => applied.at(-1),
    apply: async (wanted) => {
      applied.push(wanted);
    },
    maxShareMoved,
    now: () => nowMs,
  });
  const look = (bps: Record<string, number>): Promise<string | undefined> => {
    nowMs += 500;
    carried = bps;
    return watch.look();
  };
  const shares = (): string[] =>
    applied.at(-1)?.allocations.map((a) => `${a.workloadId} ${a.target} ${a.share}`) ?? [];
  return { look, applied, shares };
}

const expected = plan(
  share(1, 'small', 1, 2e6),
  share(2, 'small', 0.5, 1e6),
  share(2, 'other', 0.5, 1e6),
  share(3, 'large', 1, 1e6),
);

describe('surge watch', () => {
  test('outside the band on a full link: everything new on it goes to the link with the most room, once', async () => {
    const { look, applied, shares } = stage(expected);
    const crowd = { small: 9.5e6, large: 1e6, other: 1e6 };
    expect(await look(crowd)).toBeUndefined(); // once is chance
    expect(await look(crowd)).toMatch(/^surge-/);
    expect(shares().sort()).toEqual(['1 large 1', '2 large 0.5', '2 other 0.5', '3 large 1']);
    expect(applied[0]!.allocations.filter((a) => a.rateBps !== undefined).map((a) => a.workloadId)).toEqual([
      3,
    ]);
    expect(await look(crowd)).toBeUndefined(); // there is nothing left to move
    expect(applied).toHaveLength(1);
  });

  test.each([
    ['inside the band', expected, { small: 4.5e6 }],
    ['outside the band, but with room', expected, { small: 8e6, large: 1e6 }],
    ['a full link that was expected', plan(share(1, 'small', 1, 12e6)), { small: 9.9e6 }],
    ['no plan, so no band', undefined, { small: 9.9e6 }],
    ['a plan that expired', { ...expected, expiresMs: NOW }, { small: 9.9e6 }],
    ['all links full', expected, { small: 10e6, large: 1e9, other: 1e8 }],
  ])('%s: nothing moves', async (_what, forecast, bps) => {
    const { look, applied } = stage(forecast);
    for (let i = 0; i < 5; i += 1) await look(bps);
    expect(applied).toEqual([]);
  });

  test('no more is moved at once than may be', async () => {
    const { look, shares } = stage(plan(share(1, 'small', 1, 2e6)), 0.4);
    const crowd = { small: 9.9e6 };
    await look(crowd);
    await look(crowd);
    expect(shares()).toEqual(['1 small 0.6', '1 large 0.4']);
    await look(crowd);
    expect(movedAway([share(1, 'small', 0.2), share(1, 'large', 0.8)], 'small', 'large', 0.4)).toMatchObject([
      { target: 'large', share: 1 },
    ]);
  });

  test('rates that cannot be read, or a refusal, are no end of it', async () => {
    let refuse = true;
    let nowMs = NOW;
    let tried = 0;
    const made: string[] = [];
    const watch = new SurgeWatch({
      links,
      rates: async () => new Map([['small', 9.9e6]]),
      plan: () => expected,
      following: () => undefined,
      apply: async ({ planId }) => {
        tried += 1;
        if (refuse) throw new Error('blackout');
        made.push(planId);
      },
      maxShareMoved: 1,
      now: () => nowMs,
    });
    for (let i = 0; i < 5; i += 1) expect(await watch.look()).toBeUndefined();
    expect(tried).toBe(1); // not again at once
    nowMs += 5_000;
    refuse = false;
    expect(await watch.look()).toBe(made[0]);
    expect(made).toHaveLength(1);
  });

  test.each([
    ['automatic', false, true],
    ['approve', false, false],
    ['approve', true, true],
    ['recommend', false, false],
    ['observe', true, false],
  ] as const)('policy %s, approved beforehand %s: moves %s', async (mode, approved, moves) => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-surge-'));
    const journal = new MemoryJournal();
    const policy = { mode, maxChangesPerHour: 100, maxShareMoved: 1, blackout: [], pinned: [] };
    const lease = new FileLease(join(directory, 'lease'));
    const applier = new PlanApplier({
      actuators: [new DryRunActuator()],
      journal,
      lease,
      policy,
      now: () => NOW,
    });
    const problems: string[] = [];
    const watch = new SurgeWatch({
      links,
      rates: async () => new Map([['small', 9.9e6]]),
      plan: () => expected,
      following: () => undefined,
      apply: (wanted) =>
        applier.apply(wanted, approved).catch((error: unknown) => {
          problems.push((error as Error).message);
          throw error;
        }),
      maxShareMoved: 1,
      now: () => NOW,
    });
    const made = [await watch.look(), await watch.look()];
    rmSync(directory, { recursive: true });
    expect(made[1] !== undefined).toBe(moves);
    expect(journal.all.some((entry) => entry.event === 'applied')).toBe(moves);
    expect(problems.length).toBe(moves ? 0 : 1);
    if (!moves) expect(problems[0]).toMatch(/asks for an approval|observe only/);
  });
});
