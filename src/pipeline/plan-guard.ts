import {
  type ActuateConfig,
  type ActuatedLink,
  Guard,
  guardLimitsOf,
  LiveReadings,
  type PlanApplier,
} from '../actuate/index.js';
import type { Component } from '../base/component.js';
import type { Logger } from '../base/logger.js';
import type { SteeringDatapath } from '../capture/steering.js';
import type { StoreClient } from '../store/index.js';

export interface PlanGuardOptions {
  readonly gateway: string;
  readonly config: ActuateConfig;
  readonly links: readonly ActuatedLink[];
  readonly netns?: string;
  readonly client: () => Pick<StoreClient, 'query'>;
  readonly steering?: () => SteeringDatapath | undefined;
  readonly applier: Pick<PlanApplier, 'holdOff'>;
  /** Undoes the last plan and follows none. */
  readonly rollback: (reason: string) => Promise<string | undefined>;
  readonly logger: Logger;
}

/** Records younger than this tell of the present. */
const RECENT_S = 10;

/** The guard over what was applied, with live readings. */
export class PlanGuard implements Component {
  readonly #guard: Guard;
  readonly #readings: LiveReadings;

  constructor(options: PlanGuardOptions) {
    const { gateway, config, links, netns, client, steering, applier, rollback, logger } = options;
    this.#readings = new LiveReadings({
      links,
      ...(netns === undefined ? {} : { netns }),
      probes: config.guard.probes.map(({ name, url, timeout }) => ({ name, url, timeoutMs: timeout })),
      handshakeRttMs: async () => {
        const rows = await client().query<{ linkId: string; rttMs: number }>(
          `SELECT linkId, toFloat64(quantile(0.9)(tcpHandshakeRttMicroseconds)) / 1000 AS rttMs FROM flows
           WHERE gateway = {gateway:String} AND tcpHandshakeRttMicroseconds > 0
             AND flowEndNanoseconds > now64(9) - {recent:UInt32} GROUP BY linkId`,
          { params: { gateway, recent: RECENT_S } },
        );
        return new Map(rows.map(({ linkId, rttMs }) => [linkId, rttMs]));
      },
      ...(steering === undefined
        ? {}
        : { strandedPackets: () => steering()?.state().counters.stranded ?? 0 }),
      logger,
    });
    this.#guard = new Guard({
      applier: {
        rollback: (reason = 'a limit was broken') => rollback(reason),
        holdOff: (...args) => applier.holdOff(...args),
      },
      limits: guardLimitsOf(config),
      read: () => this.#readings.read(),
      logger,
    });
  }

  /** Tells that a plan was applied: watch it from now on. */
  watch(): void {
    this.#guard.watch();
  }

  async start(): Promise<void> {
    await this.#guard.start();
  }

  async stop(): Promise<void> {
    await this.#guard.stop();
    await this.#readings.close();
  }
}
