import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type ActuationPlan,
  DryRunActuator,
  FileJournal,
  FileLease,
  type JournalEntry,
  type JsonValue,
  PlanApplier,
  type Policy,
  StepActuator,
} from '../../src/actuate/index.js';
import { inBlackout, reasonsAgainst, shareMoved } from '../../src/actuate/policy.js';
import { MemoryJournal } from '../support/memory-journal.js';

const directory = mkdtempSync(join(tmpdir(), 'tidegate-applier-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const NOON = Date.UTC(2026, 0, 5, 12);
const policy: Policy = {
  mode: 'automatic',
  maxChangesPerHour: 100,
  maxShareMoved: 1,
  blackout: [],
  pinned: [],
};
const plan = (planId: string, amounts: Record<string, number>): ActuationPlan => ({
  planId,
  createdMs: NOON,
  expiresMs: NOON + 3_600_000,
  allocations: Object.entries(amounts).map(([workloadName, rateBps], workloadId) => ({
    workloadId,
    workloadName,
    resource: 'bandwidth',
    target: 'out',
    rateBps,
    fromMs: 0,
    untilMs: 1e15,
  })),
});

/** A world of named numbers that can be told to refuse a value. */
class WorldActuator extends StepActuator {
  readonly world = new Map<string, JsonValue>();
  refuse: JsonValue = null;

  constructor(readonly name: string) {
    super(() => NOON);
  }

  protected override async propose(wanted: ActuationPlan) {
    const nobody = wanted.allocations.filter((a) => a.workloadName === 'nobody');
    const changes = wanted.allocations
      .filter((a) => !nobody.includes(a))
      .map((a) => ({
        action: 'set',
        target: a.workloadName,
        after: a.rateBps ?? 0,
        words: `${a.workloadName} = ${a.rateBps}`,
      }));
    return { changes, refused: nobody.map((allocation) => ({ allocation, reason: 'is not known' })) };
  }

  protected override async read(target: string): Promise<JsonValue> {
    return this.world.get(target) ?? null;
  }

  protected override async write(target: string, value: JsonValue): Promise<void> {
    if (value !== null && value === this.refuse) throw new Error('no');
    if (value === null) this.world.delete(target);
    else this.world.set(target, value);
  }
}

describe('plan applier', () => {
  let a: WorldActuator;
  let b: WorldActuator;
  let journal: MemoryJournal;
  let nowMs: number;
  const lease = new FileLease(join(directory, 'lease.json'));
  const make = (changes: Partial<Policy> = {}): PlanApplier =>
    new PlanApplier({
      actuators: [a, b],
      journal,
      lease,
      policy: { ...policy, ...changes },
      now: () => nowMs,
    });
  const world = (): unknown => [Object.fromEntries(a.world), Object.fromEntries(b.world)];

  beforeEach(() => {
    a = new WorldActuator('a');
    b = new WorldActuator('b');
    journal = new MemoryJournal();
    nowMs = NOON;
  });

  test('applies through all actuators and rolls back plan by plan', async () => {
    const applier = make();
    await applier.apply(plan('p', { x: 1 }));
    await applier.apply(plan('q', { x: 2, y: 3 }));
    expect(world()).toEqual([
      { x: 2, y: 3 },
      { x: 2, y: 3 },
    ]);
    expect((await applier.verify()).every((v) => v.holds)).toBe(true);
    expect(await applier.rollback()).toBe('q');
    expect(world()).toEqual([{ x: 1 }, { x: 1 }]);
    expect(await applier.rollback()).toBe('p');
    expect(world()).toEqual([{}, {}]);
    expect(await applier.rollback()).toBeUndefined();
  });

  test('a plan that was followed through periods is undone as a whole; a period that fails, alone', async () => {
    const applier = make();
    await applier.apply(plan('before', { x: 7 }));
    await applier.apply(plan('p', { x: 1 }));
    b.world.set('x', 2);
    await applier.apply(plan('p', { x: 2 }));
    const second = world();
    a.refuse = 3;
    await expect(applier.apply(plan('p', { x: 3 }))).rejects.toThrow(/x = 3: no/);
    expect(world()).toEqual(second);
    journal.all.push({ ...journal.all.findLast((e) => e.actuator === 'plan' && e.event === 'begin')! });
    expect(await make().recover()).toBe('rolled-back');
    expect(world()).toEqual(second);
    expect(await applier.rollback()).toBe('p');
    expect(world()).toEqual([{ x: 7 }, { x: 7 }]);
    expect(await applier.rollback()).toBe('before');
    expect(world()).toEqual([{}, {}]);
  });

  test('a step that fails undoes the steps before it, in every actuator', async () => {
    const applier = make();
    await applier.apply(plan('p', { x: 1, y: 1 }));
    b.refuse = 9;
    await expect(applier.apply(plan('q', { x: 2, y: 9 }))).rejects.toMatchObject({
      code: 'TG_ACTUATE_APPLY',
    });
    expect(world()).toEqual([
      { x: 1, y: 1 },
      { x: 1, y: 1 },
    ]);
    expect(await applier.recover()).toBe('nothing');
  });

  test('what cannot be undone now is undone by recovery, and nothing is applied on top of it', async () => {
    const applier = make();
    await applier.apply(plan('p', { x: 1, y: 1 }));
    b.refuse = 9;
    a.refuse = 1; // setting back to 1 is refused
    await expect(applier.apply(plan('q', { x: 2, y: 9 }))).rejects.toThrow(/failed on step y = 9: no/);
    expect(world()).not.toEqual([
      { x: 1, y: 1 },
      { x: 1, y: 1 },
    ]);
    a.refuse = null;
    await expect(applier.apply(plan('r', { x: 3 }))).rejects.toThrow(/plan q was interrupted/);
    expect(await make().recover()).toBe('rolled-back');
    expect(world()).toEqual([
      { x: 1, y: 1 },
      { x: 1, y: 1 },
    ]);
  });

  test('after a crash at any entry, and another one while recovering, the world is as before or as after, for any plans', async () => {
    const amounts = fc.dictionary(fc.constantFrom('u', 'v', 'w'), fc.integer({ min: 1, max: 3 }), {
      minKeys: 1,
    });
    await fc.assert(
      fc.asyncProperty(amounts, amounts, fc.nat(20), fc.nat(12), async (first, second, crashAfter, again) => {
        a = new WorldActuator('a');
        b = new WorldActuator('b');
        journal = new MemoryJournal();
        await make().apply(plan('p', first));
        const before = JSON.stringify(world());
        journal.crashAt = journal.all.length + crashAfter;
        await make()
          .apply(plan('q', second))
          .catch(() => undefined);
        // The recovery may be cut off as well.
        journal.crashAt = journal.all.length + again;
        await make()
          .recover()
          .catch(() => undefined);
        journal.crashAt = Number.POSITIVE_INFINITY;
        await make().recover();
        const merged = { ...first, ...second };
        const sorted = (m: unknown): string => JSON.stringify(m, Object.keys(merged).sort());
        const after = [merged, merged].map(sorted).join();
        const found = (world() as unknown[]).map(sorted).join();
        expect([(JSON.parse(before) as unknown[]).map(sorted).join(), after]).toContain(found);
        expect(await make().recover()).toBe('nothing');
      }),
      { numRuns: 400 },
    );
  });

  test.each([
    ['observe', { mode: 'observe' as const }, /observe only/],
    ['an approval that is missing', { mode: 'approve' as const }, /asks for an approval/],
    ['a recommendation that nobody took', { mode: 'recommend' as const }, /asks for an approval/],
    ['too many changes', { maxChangesPerHour: 1 }, /more than the 1 allowed/],
    ['a blackout', { blackout: [{ from: '11:30', until: '12:30' }] }, /blackout from 11:30/],
  ])('policy: %s refuses with exit code 4 and changes nothing', async (_what, changes, words) => {
    await expect(make(changes).apply(plan('p', { x: 1 }))).rejects.toMatchObject({
      code: 'TG_ACTUATE_REFUSED',
      exitCode: 4,
      message: expect.stringMatching(words),
    });
    expect(world()).toEqual([{}, {}]);
    expect(journal.all).toEqual([]);
  });

  test('an approved plan is applied under "approve"; an expired one never; pinned workloads stay', async () => {
    const applier = make({ mode: 'approve', pinned: ['y'] });
    await applier.apply(plan('p', { x: 1, y: 1 }), true);
    expect(world()).toEqual([{ x: 1 }, { x: 1 }]);
    nowMs = NOON + 3_600_000;
    await expect(applier.apply(plan('q', { x: 2 }), true)).rejects.toThrow(/expired at 2026-01-05T13:00/);
  });

  test('what cannot be done of a plan is told; a plan of which nothing can be done is refused', async () => {
    const applier = make();
    const { refused, results } = await applier.apply(plan('p', { x: 1, nobody: 2 }));
    expect(refused.map((r) => [r.actuator, r.allocation.workloadName, r.reason])).toEqual([
      ['a', 'nobody', 'is not known'],
      ['b', 'nobody', 'is not known'],
    ]);
    expect(results.map((r) => r.applied.length)).toEqual([1, 1]);
    const entries = journal.all.length;
    await expect(applier.apply(plan('q', { nobody: 2 }))).rejects.toMatchObject({
      code: 'TG_ACTUATE_REFUSED',
      message: 'plan q was refused: nobody: is not known',
      exitCode: 4,
    });
    expect(journal.all).toHaveLength(entries);
  });

  test('a hold-off ends by itself', async () => {
    const applier = make();
    applier.holdOff(1000, 'loss');
    await expect(applier.apply(plan('p', { x: 1 }))).rejects.toThrow(/held off until .* \(loss\)/);
    nowMs += 1000;
    await applier.apply(plan('p', { x: 1 }));
    expect(world()).toEqual([{ x: 1 }, { x: 1 }]);
  });
});

test('blackout windows may go over midnight', () => {
  const at = (clock: string): number => Date.parse(`2026-03-01T${clock}:00Z`);
  const night = [{ from: '22:00', until: '06:00' }];
  for (const clock of ['22:00', '23:59', '00:00', '05:59'])
    expect(inBlackout(night, at(clock))).toBe(night[0]);
  for (const clock of ['06:00', '12:00', '21:59']) expect(inBlackout(night, at(clock))).toBeUndefined();
});

test('the share moved is half the sum of the differences', () => {
  const step = (before: JsonValue, after: JsonValue) =>
    shareMoved({ id: '', action: 'weights', target: '', words: '', before, after });
  expect(step({ a: 1000 }, { b: 1000 })).toBe(1);
  expect(step({ a: 700, b: 300 }, { a: 500, b: 500 })).toBeCloseTo(0.2, 9);
  expect(step({ a: 10 }, { a: 1000 })).toBe(0);
});

test('a plan that moves more of the new flows at once than allowed is refused, approved or not', () => {
  const step = {
    id: '',
    action: 'weights',
    target: '1',
    words: 'web',
    before: { a: 1000 },
    after: { a: 400, b: 600 },
  };
  const previews = [{ actuator: 'steer', planId: 'p', steps: [step], refused: [] }];
  const against = (maxShareMoved: number) =>
    reasonsAgainst({ ...policy, maxShareMoved }, plan('p', {}), previews, [], true, NOON);
  expect(against(0.5)).toEqual(['"web" moves 60 % at once, allowed are 50 %']);
  expect(against(0.6)).toEqual([]);
});

describe('journal on disk', () => {
  const entry = (stepId: string): JournalEntry => ({
    atMs: 1,
    planId: 'p',
    actuator: 'x',
    stepId,
    event: 'intent',
    target: 't',
    before: null,
    after: { a: 1 },
    words: 'ü\n',
  });

  test('keeps entries over restarts and drops a line that a crash cut off', async () => {
    const file = join(directory, 'sub', 'journal.jsonl');
    const first = new FileJournal(file);
    await first.open();
    await Promise.all([first.append(entry('1')), first.append(entry('2'))]);
    await first.close();
    appendFileSync(file, '{"atMs":2,"planId":"cut');
    const second = new FileJournal(file);
    await second.open();
    expect(await second.entries()).toEqual([entry('1'), entry('2')]);
    await second.append(entry('3'));
    await second.close();
    expect(
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((l) => (JSON.parse(l) as JournalEntry).stepId),
    ).toEqual(['1', '2', '3']);
    await expect(second.append(entry('4'))).rejects.toMatchObject({ code: 'TG_ACTUATE_JOURNAL' });
  });

  test('a mirror that was away gets everything, in order, once it is back', async () => {
    const copied: string[] = [];
    let away = true;
    const journal = new FileJournal(join(directory, 'mirrored.jsonl'), {
      append: async (e) => {
        if (away) throw new Error('away');
        copied.push(e.stepId);
      },
    });
    await journal.open();
    for (const id of ['1', '2']) await journal.append(entry(id));
    away = false;
    await journal.append(entry('3'));
    await journal.close();
    expect(copied).toEqual(['1', '2', '3']);
  });

  test('damage in the middle is told, not passed over', async () => {
    const file = join(directory, 'damaged.jsonl');
    writeFileSync(file, `${JSON.stringify(entry('1'))}\nnonsense\n${JSON.stringify(entry('2'))}\n`);
    await expect(new FileJournal(file).open()).rejects.toMatchObject({ code: 'TG_ACTUATE_JOURNAL' });
  });
});

describe('lease', () => {
  test('one holder at a time; a holder that died holds nothing', async () => {
    const file = join(directory, 'one.json');
    const [x, y] = [new FileLease(file), new FileLease(file)];
    await x.hold(async () => {
      await expect(y.hold(async () => 1)).rejects.toMatchObject({ code: 'TG_ACTUATE_LEASE', exitCode: 4 });
    });
    expect(await y.hold(async () => 2)).toBe(2);
    const dead = spawnSync(process.execPath, ['-e', 'console.log(process.pid)'], {
      encoding: 'utf8',
    }).stdout.trim();
    writeFileSync(file, JSON.stringify({ pid: Number(dead), startTime: '1' }));
    expect(await x.hold(async () => 3)).toBe(3);
    writeFileSync(file, 'cut off');
    expect(await x.hold(async () => 4)).toBe(4);
  });
});

test('dry-run remembers over a restart by its journal', async () => {
  const journal = new MemoryJournal();
  await new DryRunActuator().apply(plan('p', { x: 1 }), journal);
  const again = new DryRunActuator();
  await again.recover(journal);
  expect((await again.preview(plan('q', { x: 1 }))).steps).toEqual([]);
});
