import type { World } from './world.js';

/** The schedule in force gives way when it really cost this much more than the reactive rule would have. */
const STOP_LOSS = 1.05;

/** What a schedule cost and missed over a stretch of the past. */
export interface RiskRecord {
  readonly costUsd: number;
  readonly violationSteps: number;
  readonly steps: number;
}

/** Running sums of one schedule's cost and violations, so that any recent stretch is two look-ups. */
export class StepSums {
  readonly #world: World;
  readonly #cost: number[] = [0];
  readonly #violations: number[] = [0];
  #before = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Step t was served by n machines. */
  add(t: number, n: number): void {
    const world = this.#world;
    const over = Math.max(0, world.demandBps[t]! - world.privateCapacityBps);
    const room = n * world.machineBps;
    const egressUsd = (Math.min(over, room) * (world.stepMs / 1000) * world.egressUsdPerGb) / 8e9;
    const starts = Math.max(0, n - this.#before);
    this.#before = n;
    this.#cost.push(this.#cost.at(-1)! + n * world.usdPerMachineStep + starts * world.startUsd + egressUsd);
    this.#violations.push(this.#violations.at(-1)! + (over > room * (1 + 1e-9) + 1e-6 ? 1 : 0));
  }

  /** The last `steps` steps, or as many as there are. */
  last(steps: number): RiskRecord {
    const end = this.#cost.length - 1;
    const from = Math.max(0, end - steps);
    return {
      costUsd: this.#cost[end]! - this.#cost[from]!,
      violationSteps: this.#violations[end]! - this.#violations[from]!,
      steps: end - from,
    };
  }
}

/** Part of the allowed violations that a level may have used on paper: the future is never quite the past. */
const PAPER_SHARE = 0.4;
/** Days over which the schedule in force must not use up more than its allowance. */
const OWN_DAYS = 12;
/** A level must have been at least this much cheaper than the reactive rule to replace it. */
const REACTIVE_SHARE = 0.985;
/** When the goal is given up the demand is erratic, and a narrow advantage on paper does not last. */
const ERRATIC_SHARE = 0.95;

/**
 * The risk level to run at, from what each would have done in the recent past.
 *
 * With a price per violation: the level with the least cost including it. With a goal: the first level that kept the
 * goal with a margin, one or more levels safer when the schedule in force has nearly used its own allowance. Where no
 * such level was cheaper than the reactive rule, the goal cannot be insured at a sensible price (unannounced spikes):
 * then the safest level that was cheaper than that rule and missed less, else the rule itself; the choice says so.
 *
 * @param levels by level, cheapest first, all over the same stretch
 * @param reactive the reactive rule over that stretch
 * @param own the schedule in force since it is, beside the reactive rule's cost over the same steps
 */
export function chooseRisk(
  world: World,
  levels: readonly RiskRecord[],
  reactive: RiskRecord,
  own: RiskRecord & { readonly reactiveCostUsd: number },
): { readonly level: number | 'reactive'; readonly goalGivenUp: boolean } {
  const safest = levels.length - 1;
  if (world.violationUsdPerStep !== undefined) {
    const priced = levels.map((l) => l.costUsd + l.violationSteps * world.violationUsdPerStep!);
    return { level: priced.indexOf(Math.min(...priced)), goalGivenUp: false };
  }
  const share = world.maximumViolationPercent / 100;
  const steps = levels[0]?.steps ?? 0;
  let level = levels.findIndex((l) => l.violationSteps <= share * PAPER_SHARE * steps);
  if (level < 0) level = safest;
  const allowance = Math.max(1, Math.floor(share * OWN_DAYS * world.stepsPerDay));
  if (own.violationSteps > 0) {
    // Each third of the allowance that is used up is a step towards safety.
    level = Math.min(safest, level + Math.ceil((2 * own.violationSteps) / allowance));
  }
  if (own.steps >= world.stepsPerDay / 4 && own.costUsd > STOP_LOSS * own.reactiveCostUsd) {
    return { level: 'reactive', goalGivenUp: true };
  }
  const within = (part: number) => (i: number) => levels[i]!.costUsd <= part * reactive.costUsd;
  if (within(REACTIVE_SHARE)(level)) return { level, goalGivenUp: false };
  const fewer = levels.map((_, i) => i).filter((i) => levels[i]!.violationSteps < reactive.violationSteps);
  for (const part of [ERRATIC_SHARE, REACTIVE_SHARE]) {
    const safestWithin = fewer.filter((i) => i <= level).findLast(within(part));
    if (safestWithin !== undefined) return { level: safestWithin, goalGivenUp: true };
  }
  return { level: 'reactive', goalGivenUp: true };
}
