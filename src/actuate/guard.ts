import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { PlanApplier } from './applier.js';
import { RepeatedLook } from './repeated-look.js';

/** One look at a link or service; what cannot be measured is left out. */
export interface GuardReading {
  /** Link id or service name. */
  readonly of: string;
  /** Packets lost of packets sent, 0..1. */
  readonly lossRatio?: number;
  /** Packets dropped by queues since the last reading. */
  readonly queueDrops?: number;
  /** TCP handshake round trip. */
  readonly rttMs?: number;
  /** Of the link's capacity, 0..1. */
  readonly utilisation?: number;
  /** A configured HTTP probe was answered as expected. */
  readonly probeOk?: boolean;
}

export interface GuardLimits {
  readonly lossRatio: number;
  readonly queueDrops: number;
  readonly rttMs: number;
  readonly utilisation: number;
  /** Breaches in a row of the same limit before anything is undone. */
  readonly consecutive: number;
  /** A plan is watched for this long after it was applied. */
  readonly watchMs: number;
  /** First hold-off after a rollback; doubled by each further one, up to `maxHoldOffMs`. */
  readonly holdOffMs: number;
  readonly maxHoldOffMs: number;
}

export interface GuardOptions {
  readonly applier: Pick<PlanApplier, 'rollback' | 'holdOff'>;
  readonly limits: GuardLimits;
  readonly read: () => Promise<readonly GuardReading[]>;
  /** Default 1 s. */
  readonly intervalMs?: number;
  readonly onBreach?: (breach: Breach) => void;
  readonly now?: () => number;
  readonly logger?: Logger;
}

export interface Breach {
  readonly atMs: number;
  readonly words: string;
  readonly rolledBack: string | undefined;
  readonly holdOffMs: number;
}

/** Every limit that a reading breaks, as words. */
export function breachesOf(reading: GuardReading, limits: GuardLimits): string[] {
  const words: string[] = [];
  for (const what of ['lossRatio', 'queueDrops', 'rttMs', 'utilisation'] as const) {
    const value = reading[what];
    if (value !== undefined && value > limits[what])
      words.push(`${what} of ${reading.of} is ${Number(value.toPrecision(3))}, above ${limits[what]}`);
  }
  if (reading.probeOk === false) words.push(`probe of ${reading.of} fails`);
  return words;
}

/**
 * Watches the world after a plan was applied: a limit broken several times in a row undoes the plan and holds further
 * ones off, longer each time. A plan that lived through its watch resets the hold-off.
 */
export class Guard implements Component {
  readonly #options: GuardOptions;
  readonly #now: () => number;
  readonly #repeated: RepeatedLook;
  readonly #streaks = new Map<string, number>();
  #watchUntilMs = 0;
  #holdOffMs: number;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#repeated = new RepeatedLook(() => this.look(), options.intervalMs ?? 1000);
    this.#holdOffMs = options.limits.holdOffMs;
  }

  /** Tells that a plan was applied: watch it from now on. */
  watch(): void {
    this.#watchUntilMs = this.#now() + this.#options.limits.watchMs;
    this.#streaks.clear();
  }

  async start(): Promise<void> {
    this.#repeated.start();
  }

  async stop(): Promise<void> {
    await this.#repeated.stop();
  }

  /** One look, as the timer does it; the breach that was acted on, if any. Never rejects. */
  async look(): Promise<Breach | undefined> {
    if (this.#now() >= this.#watchUntilMs) {
      if (this.#watchUntilMs > 0) this.#holdOffMs = this.#options.limits.holdOffMs;
      this.#watchUntilMs = 0;
      return undefined;
    }
    try {
      const found = this.#count(await this.#options.read());
      return found === undefined ? undefined : await this.#act(found);
    } catch (error) {
      this.#options.logger?.error({ err: error }, `guard: ${messageOf(error)}`);
      return undefined;
    }
  }

  #count(readings: readonly GuardReading[]): string | undefined {
    const { limits } = this.#options;
    const now = new Map<string, string>();
    for (const reading of readings)
      for (const words of breachesOf(reading, limits)) now.set(words.replace(/ is .*/, ''), words);
    for (const key of [...this.#streaks.keys()]) if (!now.has(key)) this.#streaks.delete(key);
    for (const [key, words] of now) {
      const streak = (this.#streaks.get(key) ?? 0) + 1;
      this.#streaks.set(key, streak);
      if (streak >= limits.consecutive) return words;
    }
    return undefined;
  }

  async #act(words: string): Promise<Breach> {
    const { applier, limits, logger, onBreach } = this.#options;
    const holdOffMs = this.#holdOffMs;
    // Hold off first: nobody may apply between the rollback and the hold-off.
    applier.holdOff(holdOffMs, words);
    const rolledBack = await applier.rollback(words);
    this.#holdOffMs = Math.min(limits.maxHoldOffMs, holdOffMs * 2);
    this.#watchUntilMs = 0;
    this.#streaks.clear();
    const breach = { atMs: this.#now(), words, rolledBack, holdOffMs };
    logger?.warn(breach, 'guard: limit broken');
    onBreach?.(breach);
    return breach;
  }
}
