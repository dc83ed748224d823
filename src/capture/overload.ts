import type { Component } from '../base/component.js';
import type { Logger } from '../base/logger.js';
import type { OverloadStep } from './bpf.js';

/**
 * What is given up, in this order, while the reader cannot keep up; each step includes those before it. Conservation
 * stays exact on all of them: what is sampled out is counted under that name, what is folded is still metered.
 */
export const OVERLOAD_STEPS: readonly (OverloadStep & { readonly name: string })[] = [
  { level: 0, name: 'none', timeoutShift: 0, withoutHeads: false, foldNew: false, sampling: 1 },
  { level: 1, name: 'coarser timeouts', timeoutShift: 2, withoutHeads: false, foldNew: false, sampling: 1 },
  { level: 2, name: 'no payload heads', timeoutShift: 2, withoutHeads: true, foldNew: false, sampling: 1 },
  { level: 3, name: 'aggregate mice', timeoutShift: 2, withoutHeads: true, foldNew: true, sampling: 1 },
  { level: 4, name: 'sampling 1:4', timeoutShift: 2, withoutHeads: true, foldNew: true, sampling: 4 },
  { level: 5, name: 'sampling 1:16', timeoutShift: 2, withoutHeads: true, foldNew: true, sampling: 16 },
  { level: 6, name: 'sampling 1:64', timeoutShift: 2, withoutHeads: true, foldNew: true, sampling: 64 },
];

/** What the ladder looks at and turns. */
export interface OverloadPort {
  /** How full the fullest ring is, 0..1. */
  ringFill(): number;
  /** Records that the rings could not take, ever. */
  lostRecords(): number;
  apply(step: OverloadStep): void;
}

export interface OverloadOptions {
  /** Time between two looks, ms. */
  readonly everyMs?: number;
  /** A ring this full, or a lost record, is one step up. */
  readonly upAt?: number;
  /** Rings must have been emptier than this for `calmMs` before a step down. */
  readonly downAt?: number;
  readonly calmMs?: number;
}

export interface OverloadState {
  readonly level: number;
  readonly name: string;
  /** How often each level was entered from below, by level. */
  readonly entered: readonly number[];
}

const DEFAULTS = { everyMs: 100, upAt: 0.5, downAt: 0.1, calmMs: 5000 } as const;

/**
 * Climbs one step at each look that finds a ring half full or records lost, and one step down after five calm seconds:
 * up fast, down slowly, so that it does not swing. Inert until `start`.
 */
export class OverloadLadder implements Component {
  readonly #port: OverloadPort;
  readonly #options: Required<OverloadOptions>;
  readonly #logger: Logger | undefined;
  readonly #entered: number[] = OVERLOAD_STEPS.map(() => 0);
  #level = 0;
  #lost = 0;
  #calmSinceMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: OverloadPort, options: OverloadOptions = {}, logger?: Logger) {
    this.#port = port;
    this.#options = { ...DEFAULTS, ...options };
    this.#logger = logger;
  }

  async start(): Promise<void> {
    this.#lost = this.#port.lostRecords();
    this.#calmSinceMs = performance.now();
    this.#timer = setInterval(() => this.look(performance.now()), this.#options.everyMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  state(): OverloadState {
    return { level: this.#level, name: OVERLOAD_STEPS[this.#level]!.name, entered: [...this.#entered] };
  }

  /** One look at the rings; `nowMs` is any monotonic clock. */
  look(nowMs: number): void {
    const fill = this.#port.ringFill();
    const lost = this.#port.lostRecords();
    const losing = lost > this.#lost;
    this.#lost = lost;
    if (losing || fill >= this.#options.upAt) {
      this.#calmSinceMs = nowMs;
      if (this.#level < OVERLOAD_STEPS.length - 1) this.#step(this.#level + 1, fill);
    } else if (fill > this.#options.downAt) {
      this.#calmSinceMs = nowMs;
    } else if (this.#level > 0 && nowMs - this.#calmSinceMs >= this.#options.calmMs) {
      this.#calmSinceMs = nowMs;
      this.#step(this.#level - 1, fill);
    }
  }

  #step(level: number, fill: number): void {
    const step = OVERLOAD_STEPS[level]!;
    if (level > this.#level) this.#entered[level]! += 1;
    this.#level = level;
    this.#port.apply(step);
    this.#logger?.warn({ level, giving: step.name, ringFill: fill }, 'overload of the flow reader');
  }
}
