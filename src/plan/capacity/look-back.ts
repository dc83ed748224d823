import { type CapacityTerms, machinesFor } from './terms.js';

/** Room for the highest of the last `steps` values, used to `use`, and `spare` machines more; one always stands by. */
export interface LookBack {
  readonly steps: number;
  readonly use: number;
  readonly spare: number;
}

/** Machines that a look-back asks for, from the values up to step t. */
export function lookBackWish(
  terms: CapacityTerms,
  demand: Float64Array,
  t: number,
  { steps, use, spare }: LookBack,
): number {
  let highest = 0;
  for (let i = Math.max(0, t - steps + 1); i <= t; i += 1) if (demand[i]! > highest) highest = demand[i]!;
  const over = Math.max(0, highest - terms.ownCapacity);
  return Math.max(1, machinesFor(over, use * terms.machineCapacity) + spare);
}
