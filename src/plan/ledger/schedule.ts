import { LinkAccount, type StepVolume } from './account.js';
import type { LedgerLink } from './ledger.js';

export const DAY_MS = 86_400_000;

/** One step's volumes by link, in the order of the links. */
export interface LedgerStep {
  readonly startMs: number;
  readonly volumes: readonly StepVolume[];
}

/** What a way of using the links cost by day, and in how many steps a link had no room. */
export interface ScheduleDays {
  readonly usd: readonly number[];
  readonly violatedSteps: readonly number[];
  readonly totalUsd: number;
}

/** Circuit steps by link where they are not the present ones. */
export type CircuitSteps = readonly (number | undefined)[];

export interface RunOptions {
  readonly circuits?: CircuitSteps;
  /** `false`: all in one sum, many times faster where links are billed by a percentile. */
  readonly byDay?: boolean;
  /** The present: of the day that it lies in, fixed fees are owed until then. */
  readonly untilMs?: number;
}

export const dayOf = (ms: number): number => Math.floor(ms / DAY_MS);

/** Accounts of all links from the first day on. */
const accountsOf = (
  links: readonly LedgerLink[],
  fromMs: number,
  stepMs: number,
  circuits: CircuitSteps = [],
): LinkAccount[] =>
  links.map(
    ({ tariff, capacityBps }, l) =>
      new LinkAccount(
        tariff,
        fromMs,
        stepMs,
        tariff.circuit === undefined ? undefined : (circuits[l] ?? capacityBps / 1e6),
      ),
  );

/**
 * Runs a schedule up, day by day: only days with traffic count, a day's fixed fees are owed whole once it is over.
 *
 * @param next volumes of a step by link, asked for in ascending order of time, accounts as they stand
 */
export function runDays(
  links: readonly LedgerLink[],
  steps: readonly { readonly startMs: number }[],
  stepMs: number,
  next: (step: number, accounts: readonly LinkAccount[]) => readonly StepVolume[],
  { circuits = [], byDay = true, untilMs = Number.POSITIVE_INFINITY }: RunOptions = {},
): ScheduleDays {
  if (steps.length === 0) return { usd: [], violatedSteps: [], totalUsd: 0 };
  const accounts = accountsOf(links, dayOf(steps[0]!.startMs) * DAY_MS, stepMs, circuits);
  const rooms = links.map(
    ({ capacityBps }, l) => ((circuits[l] === undefined ? capacityBps : circuits[l] * 1e6) * stepMs) / 8000,
  );
  const usd: number[] = [];
  const violatedSteps: number[] = [];
  let day = Number.NaN;
  let violated = 0;
  const close = (): void => {
    usd.push(accounts.reduce((sum, account) => sum + account.take(Math.min((day + 1) * DAY_MS, untilMs)), 0));
    violatedSteps.push(violated);
    violated = 0;
  };
  for (const [i, { startMs }] of steps.entries()) {
    const today = dayOf(startMs);
    if (today !== day && !Number.isNaN(day)) {
      if (byDay || today > day + 1) close();
      // Days without traffic cost nothing in any of the ledgers: nobody measured them.
      if (today > day + 1) for (const account of accounts) account.take(today * DAY_MS);
    }
    day = today;
    const volumes = next(i, accounts);
    for (const [l, volume] of volumes.entries()) accounts[l]!.send(startMs, volume);
    if (volumes.some(({ out }, l) => out > rooms[l]! * (1 + 1e-9))) violated += 1;
  }
  close();
  return { usd, violatedSteps, totalUsd: usd.reduce((sum, value) => sum + value, 0) };
}
