import type { Logger } from '../base/logger.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { SteeringDatapath } from '../capture/steering.js';
import type { Actuator } from './actuator.js';
import { AwsActuator } from './aws.js';
import type { ActuateConfig } from './config.js';
import { DryRunActuator } from './dry-run.js';
import { actuateError } from './errors.js';
import { ExecActuator } from './exec.js';
import type { GuardLimits } from './guard.js';
import { HtbActuator } from './htb.js';
import { KubernetesActuator } from './kubernetes.js';
import type { ActuatedLink, EndpointsOf } from './link.js';
import type { Policy } from './policy.js';
import { RouteActuator } from './route.js';
import type { Steering } from './route-commands.js';
import { SteerActuator } from './steer.js';
import { WebhookActuator } from './webhook.js';

/** What actuators need to know of the gateway that they belong to. */
export interface ActuatorParts {
  readonly gateway: string;
  readonly links: readonly ActuatedLink[];
  readonly endpointsOf: EndpointsOf;
  readonly steeringOf?: (workloadId: number) => Steering;
  /** The XDP program's steering, once it runs; needed by `steer`. */
  readonly steering?: () => SteeringDatapath | undefined;
  /** Name of a workload, as the configuration may call it. */
  readonly nameOf?: (workloadId: number) => string;
  /** Network namespace of the links; absent = this process's. */
  readonly netns?: string;
  readonly logger?: Logger;
}

/**
 * The actuators that a configuration names, in its order. Nothing is touched until they are asked.
 * @throws TG_ACTUATE_CONFIG when one lacks its settings
 */
export function makeActuators(config: ActuateConfig, parts: ActuatorParts): Actuator[] {
  const actuators: Actuator[] = [];
  for (const name of config.actuators) actuators.push(makeActuator(name, config, parts));
  return actuators;
}

function makeActuator(
  name: ActuateConfig['actuators'][number],
  config: ActuateConfig,
  parts: ActuatorParts,
): Actuator {
  const { gateway, links, endpointsOf, steeringOf, netns } = parts;
  const inside = netns === undefined ? {} : { netns };
  switch (name) {
    case 'dry-run':
      return new DryRunActuator();
    case 'route':
      return new RouteActuator({
        links: links.filter((link) => link.nextHopIPv4 !== undefined || link.nextHopIPv6 !== undefined),
        endpointsOf,
        ...inside,
        ...(steeringOf === undefined ? {} : { steeringOf }),
      });
    case 'steer':
      return new SteerActuator({
        links: links.filter((link) => link.nextHopIPv4 !== undefined || link.nextHopIPv6 !== undefined),
        endpointsOf,
        datapath: parts.steering ?? (() => undefined),
        ...inside,
        ...(steeringOf === undefined ? {} : { steeringOf }),
        mayMove: (id) => config.steer.mayMove.includes(parts.nameOf?.(id) ?? ''),
        viaStack: config.actuators.includes('htb'),
        ...(config.steer.deadman === undefined ? {} : { deadmanMs: config.steer.deadman }),
        ...(parts.logger === undefined ? {} : { logger: parts.logger }),
      });
    case 'htb':
      return new HtbActuator({ links, endpointsOf, replaceQdisc: config.replaceQdisc, ...inside });
    case 'webhook': {
      if (config.webhook === undefined) throw actuateError('TG_ACTUATE_CONFIG', { name });
      const { url, secret, timeout, retries } = config.webhook;
      return new WebhookActuator({ url, secret, gateway, timeoutMs: timeout, retries });
    }
    case 'kubernetes': {
      if (config.kubernetes === undefined) throw actuateError('TG_ACTUATE_CONFIG', { name });
      const { workloads, ...cluster } = config.kubernetes;
      return new KubernetesActuator({
        ...withoutUndefined(cluster),
        workloads: workloads.map(withoutUndefined),
      });
    }
    case 'aws': {
      if (config.aws === undefined) throw actuateError('TG_ACTUATE_CONFIG', { name });
      const { region, endpoint, groups } = config.aws;
      return new AwsActuator({
        region,
        ...(endpoint === undefined ? {} : { endpoint }),
        groups: groups.map(({ memoryPerInstance, ...group }) => ({
          ...group,
          memoryBytesPerInstance: memoryPerInstance,
        })),
      });
    }
    case 'exec': {
      if (config.exec === undefined) throw actuateError('TG_ACTUATE_CONFIG', { name });
      const { command, timeout } = config.exec;
      return new ExecActuator({ command, gateway, timeoutMs: timeout });
    }
  }
}

/** The policy of a configuration. */
export const policyOf = (config: ActuateConfig): Policy => ({
  mode: config.mode,
  maxChangesPerHour: config.maxChangesPerHour,
  maxShareMoved: config.maxShareMoved,
  blackout: config.blackout,
  pinned: config.pinned,
});

/** The guard's limits of a configuration. */
export const guardLimitsOf = ({ guard }: ActuateConfig): GuardLimits => ({
  lossRatio: guard.lossRatio,
  queueDrops: guard.queueDrops,
  rttMs: guard.rtt,
  utilisation: guard.utilisation,
  consecutive: guard.consecutive,
  watchMs: guard.watch,
  holdOffMs: guard.holdOff,
  maxHoldOffMs: guard.maxHoldOff,
});
