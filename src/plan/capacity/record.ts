import { type CapacityTerms, isShort } from './terms.js';

/** What a schedule cost and missed over a stretch of the past. */
export interface RiskRecord {
  readonly costUsd: number;
  readonly violationSteps: number;
  /** The same, softened: a step that a little more demand would have made a violation counts in part. */
  readonly strainedSteps: number;
  readonly steps: number;
}

/**
 * How much a step weighs that so much of a machine more demand makes a violation: where violations are few, their
 * count alone tells careful schedules from lucky ones too late.
 */
const STRAINS: readonly { readonly machines: number; readonly weight: number }[] = [
  { machines: 0, weight: 0.8 },
  { machines: 0.5, weight: 0.1 },
  { machines: 1, weight: 0.1 },
];

type Sums = readonly [costUsd: number, violations: number, strained: number, steps: number];

/** Running sums of one schedule, kept at marks, so that any recent stretch between marks is two look-ups. */
export class ScheduleRecord {
  readonly #terms: CapacityTerms;
  readonly #keep: number;
  #marks: Sums[] = [[0, 0, 0, 0]];
  #costUsd = 0;
  #violations = 0;
  #strained = 0;
  #steps = 0;
  #before = 0;

  /** @param keep how many marks back is looked at most */
  constructor(terms: CapacityTerms, keep: number) {
    this.#terms = terms;
    this.#keep = keep;
  }

  /** The next step had this demand and was served by n machines. */
  add(demand: number, n: number): void {
    const { ownCapacity, machineCapacity, usdPerMachineStep, startUsd, usdPerCarriedStep } = this.#terms;
    const over = demand - ownCapacity;
    const room = n * machineCapacity;
    const starts = Math.max(0, n - this.#before);
    this.#before = n;
    this.#costUsd +=
      n * usdPerMachineStep + starts * startUsd + Math.min(Math.max(0, over), room) * usdPerCarriedStep;
    if (isShort(over, room)) this.#violations += 1;
    for (const { machines, weight } of STRAINS)
      if (isShort(over + machines * machineCapacity, room)) this.#strained += weight;
    this.#steps += 1;
  }

  mark(): void {
    this.#marks.push([this.#costUsd, this.#violations, this.#strained, this.#steps]);
    if (this.#marks.length > this.#keep + 1) this.#marks = this.#marks.slice(-this.#keep - 1);
  }

  /** The time since the mark before the last `marks` ones, or as much as there is, until the last mark. */
  last(marks: number): RiskRecord {
    const end = this.#marks.at(-1)!;
    const from = this.#marks[Math.max(0, this.#marks.length - 1 - marks)]!;
    return {
      costUsd: end[0] - from[0],
      violationSteps: end[1] - from[1],
      strainedSteps: end[2] - from[2],
      steps: end[3] - from[3],
    };
  }
}
