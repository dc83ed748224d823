/**
 * What capacity is rented under. Demand and capacities share one unit, whichever it is: bit/s in the simulation,
 * instances in a gateway.
 */
export interface CapacityTerms {
  readonly stepsPerDay: number;
  /** What is there anyway. */
  readonly ownCapacity: number;
  readonly machineCapacity: number;
  readonly usdPerMachineStep: number;
  readonly startUsd: number;
  /** For one unit of demand that machines carry for one step, dollars. */
  readonly usdPerCarriedStep: number;
  /** Decided with values up to step t, machines stand in step t + leadSteps. */
  readonly leadSteps: number;
  /** A machine that was started stays at least so long. */
  readonly holdSteps: number;
  /** Share of steps in which demand may find no room, percent. */
  readonly maximumViolationPercent: number;
  /** When given, violations are priced instead of limited. */
  readonly violationUsdPerStep: number | undefined;
}

/** Whole machines of `machine` for an overflow in the same unit; a hair above a whole number is rounding. */
export const machinesFor = (over: number, machine: number): number =>
  Math.max(0, Math.ceil(over / machine - 1e-9));

/** Whether `machines` leave some of an overflow without room. */
export const isShort = (over: number, room: number): boolean => over > room * (1 + 1e-9) + 1e-6;
