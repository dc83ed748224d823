import type { ActuationPlan, Change, DesiredAllocation, JsonValue } from './actuator.js';
import { StepActuator } from './step-actuator.js';

/** An allocation as a setting: what it names and what it should be. */
export function allocationChange(allocation: DesiredAllocation): Change {
  const { workloadName, resource, target, share, rateBps, cpuCores, memoryBytes } = allocation;
  const after: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries({ share, rateBps, cpuCores, memoryBytes }))
    if (value !== undefined) after[key] = value;
  const amounts = Object.entries(after).map(([key, value]) => `${key} ${value}`);
  return {
    action: 'allocate',
    target: `${target}/${workloadName}/${resource}`,
    after,
    words: `${workloadName}: ${amounts.join(', ')} on ${target}`,
  };
}

/**
 * Does nothing but say and journal what would be done: the default. It remembers what it would have set, so that the
 * next preview shows only what changed.
 */
export class DryRunActuator extends StepActuator {
  readonly name = 'dry-run';
  readonly #world = new Map<string, JsonValue>();

  protected override async propose(plan: ActuationPlan) {
    return { changes: plan.allocations.map(allocationChange), refused: [] };
  }

  protected override async read(target: string): Promise<JsonValue> {
    return this.#world.get(target) ?? null;
  }

  protected override async write(target: string, value: JsonValue): Promise<void> {
    if (value === null) this.#world.delete(target);
    else this.#world.set(target, value);
  }
}
