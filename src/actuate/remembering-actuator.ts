import type { ActuationPlan, Change, DesiredAllocation, JsonValue, Recovery } from './actuator.js';
import type { Journal, JournalEntry } from './journal.js';
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

/** The settings that an actuator left behind, as its journal tells. */
export function valuesOf(entries: readonly JournalEntry[], actuator: string): Map<string, JsonValue> {
  const values = new Map<string, JsonValue>();
  for (const entry of entries)
    if (entry.actuator === actuator && (entry.event === 'applied' || entry.event === 'rolled-back')) {
      if (entry.after === null) values.delete(entry.target);
      else values.set(entry.target, entry.after);
    }
  return values;
}

/**
 * An actuator whose world cannot be asked what it is: it tells somebody each allocation as a setting and remembers
 * what was accepted, over restarts by the journal.
 */
export abstract class RememberingActuator extends StepActuator {
  #world = new Map<string, JsonValue>();

  /** Tells one setting; rejects when it was not accepted. */
  protected abstract tell(target: string, value: JsonValue, id: string): Promise<void>;

  override async recover(journal: Journal): Promise<Recovery> {
    this.#world = valuesOf(await journal.entries(), this.name);
    return super.recover(journal);
  }

  protected override async propose(plan: ActuationPlan) {
    return { changes: plan.allocations.map(allocationChange), refused: [] };
  }

  protected override async read(target: string): Promise<JsonValue> {
    return this.#world.get(target) ?? null;
  }

  protected override async write(target: string, value: JsonValue, id: string): Promise<void> {
    await this.tell(target, value, id);
    if (value === null) this.#world.delete(target);
    else this.#world.set(target, value);
  }
}
