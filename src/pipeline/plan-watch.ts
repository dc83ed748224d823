import {
  type ActuateConfig,
  type ActuatedLink,
  type ActuationPlan,
  type ApplyReport,
  LinkRates,
  type PlanApplier,
  SurgeWatch,
} from '../actuate/index.js';
import type { Logger } from '../base/logger.js';
import type { Observe } from '../base/observe.js';
import type { SteeringDatapath } from '../capture/steering.js';
import type { StoreClient } from '../store/index.js';
import { PlanGuard } from './plan-guard.js';

export interface PlanOperationsOptions {
  readonly gateway: string;
  readonly config: ActuateConfig;
  /** Ways out that actuators may act on. */
  readonly links: readonly ActuatedLink[];
  /** Network namespace of the links; absent = this process's. */
  readonly netns?: string;
  readonly dataDirectory: string;
  /** Asked for when it is needed: the embedded engine has no address before it started. */
  readonly client: () => Pick<StoreClient, 'query' | 'insertRows'>;
  /** Keys of a workload's endpoints, as the registry names them: `6/443/<address>`. */
  readonly endpointKeysOf: (workloadId: number) => readonly string[];
  readonly names: () => (workloadId: number) => string;
  /** The XDP program's steering, once it runs. */
  readonly steering?: () => SteeringDatapath | undefined;
  readonly logger: Logger;
  readonly observe?: Observe;
  readonly now?: () => number;
}

/** Watches for links that fill faster than the plans foresaw. */
export interface Surge {
  readonly watch: SurgeWatch;
  readonly rates: LinkRates;
}

/** What a surge is told by, and answered with. */
export interface SurgePlans {
  /** The newest plan that was offered, applied or not: what was expected. */
  readonly plan: () => ActuationPlan | undefined;
  readonly following: () => ActuationPlan | undefined;
  readonly apply: (plan: ActuationPlan) => Promise<ApplyReport>;
}

export function surgeOf(
  { config, links, netns, logger }: PlanOperationsOptions,
  now: () => number,
  plans: SurgePlans,
): Surge {
  const rates = new LinkRates(links, netns);
  const watch = new SurgeWatch({
    ...plans,
    links,
    rates: () => rates.read(),
    maxShareMoved: config.maxShareMoved,
    rule: { fullAt: config.surge.fullAt, consecutive: config.surge.consecutive },
    everyMs: config.surge.every,
    now,
    logger,
  });
  return { watch, rates };
}

/** The guard over what `applier` changed; `rollback` undoes the last plan and follows none. */
export function guardOf(
  options: PlanOperationsOptions,
  applier: PlanApplier,
  rollback: (reason: string) => Promise<string | undefined>,
): PlanGuard {
  const { gateway, config, links, netns, client, steering, logger } = options;
  return new PlanGuard({
    gateway,
    config,
    links,
    ...(netns === undefined ? {} : { netns }),
    client,
    ...(steering === undefined ? {} : { steering }),
    applier,
    rollback,
    logger,
  });
}
