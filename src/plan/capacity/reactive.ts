import { HeldMachines } from '../hold.js';
import { type CapacityTerms, machinesFor } from './terms.js';

/**
 * The usual threshold rule, on the last measured value: grow when the machines are used above `high`, shrink when
 * below `low`, each time to the number that brings the use to `high`; same lead time and hold as everyone.
 * One machine always stands by: a rule that starts its first machine when the own side is already full violates
 * its goal in every rise, and would be too easy to beat.
 */
export class ReactiveRule {
  readonly #terms: CapacityTerms;
  readonly #high: number;
  readonly #low: number;
  readonly #held: HeldMachines;
  #machines = 0;

  constructor(terms: CapacityTerms, high: number, low: number) {
    this.#terms = terms;
    this.#high = high;
    this.#low = low;
    this.#held = new HeldMachines(terms.holdSteps);
  }

  /** Machines in step `target`, decided by the value measured `leadSteps` before it; ascending targets. */
  next(seen: number, target: number): number {
    const { ownCapacity, machineCapacity } = this.#terms;
    const over = Math.max(0, seen - ownCapacity);
    const full = this.#machines * machineCapacity;
    const outside = over > this.#high * full || over < this.#low * full;
    const wanted = outside ? machinesFor(over, this.#high * machineCapacity) : this.#machines;
    this.#machines = this.#held.next(Math.max(1, wanted), target);
    return this.#machines;
  }
}
