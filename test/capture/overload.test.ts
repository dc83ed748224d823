import { describe, expect, test } from 'vitest';
import type { OverloadStep } from '../../src/capture/bpf.js';
import { OVERLOAD_STEPS, OverloadLadder } from '../../src/capture/overload.js';

/** A ladder over rings whose state the test sets. */
function ladder() {
  const rings = { fill: 0, lost: 0 };
  const applied: OverloadStep[] = [];
  const made = new OverloadLadder(
    { ringFill: () => rings.fill, lostRecords: () => rings.lost, apply: (step) => applied.push(step) },
    { calmMs: 1000 },
  );
  return { rings, applied, ladder: made, levels: () => applied.map((step) => step.level) };
}

describe('overload ladder', () => {
  test('the order is timeouts, payload heads, mice, sampling; nothing is taken back by a higher step', () => {
    const [none, timeouts, heads, mice, ...sampling] = OVERLOAD_STEPS;
    expect(none).toMatchObject({ timeoutShift: 0, withoutHeads: false, foldNew: false, sampling: 1 });
    expect(timeouts).toMatchObject({ timeoutShift: 2, withoutHeads: false, foldNew: false, sampling: 1 });
    expect(heads).toMatchObject({ timeoutShift: 2, withoutHeads: true, foldNew: false, sampling: 1 });
    expect(mice).toMatchObject({ timeoutShift: 2, withoutHeads: true, foldNew: true, sampling: 1 });
    for (const step of sampling) {
      expect(step).toMatchObject({ timeoutShift: 2, withoutHeads: true, foldNew: true });
      expect(step.sampling).toBeGreaterThan(1);
    }
    expect(OVERLOAD_STEPS.map((step) => step.level)).toEqual(OVERLOAD_STEPS.map((_, i) => i));
  });

  test('a full ring climbs a step at each look, to the top and no further', () => {
    const { rings, ladder: l, levels } = ladder();
    rings.fill = 0.6;
    for (let i = 0; i < 20; i += 1) l.look(i * 100);
    expect(levels()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(l.state()).toMatchObject({ level: 6, entered: [0, 1, 1, 1, 1, 1, 1] });
  });

  test('a lost record is overload whatever the ring looks like now', () => {
    const { rings, ladder: l, levels } = ladder();
    rings.lost = 5;
    l.look(0);
    l.look(100);
    expect(levels()).toEqual([1]);
  });

  test('between the thresholds nothing moves; down goes one step a calm second', () => {
    const { rings, ladder: l, levels } = ladder();
    rings.fill = 0.9;
    l.look(0);
    l.look(100);
    rings.fill = 0.3;
    for (let at = 200; at < 5000; at += 100) l.look(at);
    expect(levels()).toEqual([1, 2]);
    rings.fill = 0.05;
    for (let at = 5000; at <= 8000; at += 100) l.look(at);
    expect(levels()).toEqual([1, 2, 1, 0]);
    expect(l.state()).toMatchObject({ level: 0, name: 'none' });
  });

  test('load that comes and goes faster than the calm second does not make it swing', () => {
    const { rings, ladder: l, levels } = ladder();
    for (let at = 0; at < 20_000; at += 100) {
      rings.fill = at % 900 === 0 ? 0.7 : 0.05;
      l.look(at);
    }
    expect(levels()).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
