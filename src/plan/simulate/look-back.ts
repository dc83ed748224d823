import { machinesFor, type World } from './world.js';

/** Room for the highest of the last `steps` values, used to `use`, and `spare` machines more; one always stands by. */
export interface LookBack {
  readonly steps: number;
  readonly use: number;
  readonly spare: number;
}

const STEPS = [1, 3, 6, 12, 24, 48, 96] as const;
const USES = [0.5, 0.55, 0.65, 0.75, 0.9, 1] as const;
const SPARES = [0, 1] as const;

/** The rules for a demand that no forecast foresees: bursts that come back are met by remembering the last ones. */
export const LOOK_BACKS: readonly LookBack[] = STEPS.flatMap((steps) =>
  USES.flatMap((use) => SPARES.map((spare) => ({ steps, use, spare }))),
);

/** The machines that each of {@link LOOK_BACKS} asks for, from the values up to step t. */
export function lookBackWishes(world: World, t: number): Int32Array {
  const { demandBps, privateCapacityBps, machineBps } = world;
  const wishes = new Int32Array(LOOK_BACKS.length);
  let highest = 0;
  let seen = 0;
  for (const [i, { steps, use, spare }] of LOOK_BACKS.entries()) {
    // Ascending windows: each maximum goes on from the one before.
    for (; seen < steps && t - seen >= 0; seen += 1) highest = Math.max(highest, demandBps[t - seen]!);
    const over = Math.max(0, highest - privateCapacityBps);
    wishes[i] = Math.max(1, machinesFor(over, use * machineBps) + spare);
  }
  return wishes;
}
