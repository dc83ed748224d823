import { describe, expect, test } from 'vitest';
import { type Breach, Guard, type GuardLimits, type GuardReading } from '../../src/actuate/index.js';

const limits: GuardLimits = {
  lossRatio: 0.01,
  queueDrops: 10,
  rttMs: 100,
  utilisation: 0.9,
  consecutive: 3,
  watchMs: 60_000,
  holdOffMs: 1000,
  maxHoldOffMs: 3000,
};

function stage() {
  let nowMs = 0;
  let readings: readonly GuardReading[] = [];
  const done: string[] = [];
  const applier = {
    holdOff: (ms: number) => {
      done.push(`hold ${ms}`);
    },
    rollback: async () => {
      done.push('rollback');
      return 'p';
    },
  };
  const breaches: Breach[] = [];
  const guard = new Guard({
    applier,
    limits,
    read: async () => readings,
    now: () => nowMs,
    onBreach: (breach) => breaches.push(breach),
  });
  const look = async (...next: GuardReading[]): Promise<Breach | undefined> => {
    nowMs += 1000;
    readings = next;
    return guard.look();
  };
  return { guard, look, done, breaches, later: (ms: number) => (nowMs += ms) };
}

describe('guard', () => {
  test('three breaches in a row of one limit undo the plan, after the hold-off began', async () => {
    const { guard, look, done, breaches } = stage();
    guard.watch();
    const bad = { of: 'public-a', lossRatio: 0.02 };
    expect(await look(bad)).toBeUndefined();
    expect(await look(bad)).toBeUndefined();
    expect(await look(bad)).toMatchObject({
      rolledBack: 'p',
      words: 'lossRatio of public-a is 0.02, above 0.01',
    });
    expect(done).toEqual(['hold 1000', 'rollback']);
    expect(breaches).toHaveLength(1);
    expect(await look(bad)).toBeUndefined(); // nothing applied, nothing to undo
  });

  test('breaches that are interrupted, or of different limits, do not add up', async () => {
    const { guard, look, done } = stage();
    guard.watch();
    const loss = { of: 'a', lossRatio: 1 };
    const slow = { of: 'a', rttMs: 500 };
    for (const reading of [loss, loss, { of: 'a' }, loss, slow, loss, slow, { of: 'b', lossRatio: 1 }])
      expect(await look(reading)).toBeUndefined();
    expect(done).toEqual([]);
  });

  test.each([
    [{ of: 'x', queueDrops: 11 }],
    [{ of: 'x', rttMs: 101 }],
    [{ of: 'x', utilisation: 0.95 }],
    [{ of: 'x', probeOk: false }],
  ])('%o is a breach', async (reading) => {
    const { guard, look } = stage();
    guard.watch();
    await look(reading);
    await look(reading);
    expect(await look(reading)).toBeDefined();
  });

  test('the hold-off doubles up to its maximum, and a plan that lives resets it', async () => {
    const { guard, look, done, later } = stage();
    const bad = { of: 'a', lossRatio: 1 };
    for (let i = 0; i < 3; i += 1) {
      guard.watch();
      for (let n = 0; n < 3; n += 1) await look(bad);
    }
    expect(done.filter((d) => d.startsWith('hold'))).toEqual(['hold 1000', 'hold 2000', 'hold 3000']);
    guard.watch();
    later(60_000);
    await look({ of: 'a' });
    guard.watch();
    for (let n = 0; n < 3; n += 1) await look(bad);
    expect(done.at(-2)).toBe('hold 1000');
  });

  test('a reading that cannot be had is no breach and does not stop the guard', async () => {
    const guard = new Guard({
      applier: { holdOff: () => undefined, rollback: async () => undefined },
      limits,
      read: async () => {
        throw new Error('gone');
      },
    });
    guard.watch();
    expect(await guard.look()).toBeUndefined();
    expect(await guard.look()).toBeUndefined();
  });
});
