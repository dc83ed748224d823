import type { ActuatedLink } from '../actuate/index.js';
import { withoutUndefined } from '../base/without-undefined.js';
import { readAddressKey } from '../capture/addresses.js';
import type { InterfaceState } from '../capture/source.js';
import type { XdpInterface, XdpOptions } from '../capture/xdp-options.js';
import type { CycleSettings } from '../pipeline/cycle-settings.js';
import type { Instance } from '../pricing/index.js';
import type { BlockOptions } from '../store/index.js';
import type { GatewayConfig, LinkConfig } from './schema.js';

/** Store and reader need so long, beyond the timeouts, until a packet is in the rollups. */
const SETTLE_MS = 1_500;
const QUANTILES = [0.5, 0.9, 0.95, 0.99, 0.995];

/** The interfaces that are named to be watched, and those of the links. */
export function watchedInterfaces(config: GatewayConfig): XdpInterface[] {
  const named: XdpInterface[] = [...config.capture.interfaces];
  for (const link of config.links) {
    if (!named.some((i) => i.name === link.interface && i.netns === link.netns)) {
      named.push({ name: link.interface, ...(link.netns === undefined ? {} : { netns: link.netns }) });
    }
  }
  return named;
}

/** The link that an interface carries, if one is described. */
export const linkOf = (config: GatewayConfig, interfaceName: string): LinkConfig | undefined =>
  config.links.find((link) => link.interface === interfaceName);

export const captureSettings = (
  { capture, actuate, gateway }: GatewayConfig,
  interfaces: XdpInterface[],
): XdpOptions => ({
  interfaces,
  mode: capture.mode,
  egress: capture.egress,
  coexist: capture.coexist,
  idleTimeoutMs: capture.idleTimeout,
  activeTimeoutMs: capture.activeTimeout,
  cacheEntries: capture.cacheEntries,
  ringBytes: capture.ring,
  maxFlows: capture.maxFlows,
  sizeEdges: capture.sizeEdges,
  tunnels: capture.tunnels,
  payloadHeadBytes: capture.payloadHeadBytes,
  applications: { decoders: capture.decoders, headerRules: capture.headerRules },
  batchMs: capture.batchAge,
  addresses:
    capture.addresses.mode === 'pseudonym'
      ? { mode: 'pseudonym', key: readAddressKey(capture.addresses.keyFile) }
      : capture.addresses,
  // If this process dies, metering goes on and what was steered stays as it is; the next process takes over.
  ...(capture.pin ? { pinName: gateway } : {}),
  steering: actuate.actuators.includes('steer'),
});

/** Interface index → what its rows say of the link. */
export function blockLinks(
  config: GatewayConfig,
  interfaces: readonly InterfaceState[],
): Record<number, BlockOptions['links'][number]> {
  const links: Record<number, BlockOptions['links'][number]> = {};
  for (const { index, name } of interfaces) {
    const link = linkOf(config, name);
    // A NIC that no link describes is watched all the same; it counts as a public way named after itself.
    links[index] = link
      ? { linkId: link.linkId, network: link.network }
      : { linkId: name, network: 'public' };
  }
  return links;
}

/** Network namespace of the ways out; undefined = this process's. */
export const linksNetns = (config: GatewayConfig): string | undefined =>
  config.links.find((link) => link.wayOut)?.netns;

/** The ways out as actuators address them. */
export const actuatedLinks = (config: GatewayConfig): ActuatedLink[] =>
  config.links
    .filter((link) => link.wayOut)
    .map((link) => ({
      linkId: link.linkId,
      interfaceName: link.interface,
      network: link.network,
      capacityBps: link.capacity,
      ...(link.nextHopIPv4 === undefined ? {} : { nextHopIPv4: link.nextHopIPv4 }),
      ...(link.nextHopIPv6 === undefined ? {} : { nextHopIPv6: link.nextHopIPv6 }),
    }));

/** Moments by what the rooms call them. */
const inMs = <T extends { from: number; until: number }>({ from, until, ...rule }: T) => ({
  ...rule,
  fromMs: from,
  untilMs: until,
});

export function cycleSettings(config: GatewayConfig, instance: Instance): CycleSettings {
  const { cycle, forecast, plan, capture, usage } = config;
  return {
    everyMs: cycle.every,
    validForMs: Math.max(2 * cycle.every, plan.validFor),
    stepMs: cycle.step,
    seasonsMs: cycle.seasons,
    horizonMs: cycle.horizon,
    historyMs: cycle.history,
    lagMs:
      capture.activeTimeout +
      Math.min(capture.activeTimeout, capture.idleTimeout) / 2 +
      capture.batchAge +
      SETTLE_MS,
    ...(forecast.models ? { models: forecast.models } : {}),
    calendar: forecast.calendar.map(inMs),
    regressors: forecast.regressors.map(inMs),
    ...(forecast.prophet ? { prophet: withoutUndefined(forecast.prophet) } : {}),
    quantiles: QUANTILES,
    sizingQuantile: plan.sizingQuantile,
    coefficients: { cpuCoresPerGbps: cycle.cpuCoresPerGbps, memoryGiBPerGbps: cycle.memoryGiBPerGbps },
    ...(usage.prometheus === undefined
      ? {}
      : {
          resourceModel: {
            minimumR2: usage.minimumR2,
            windowSteps: Math.ceil(usage.fitWindow / cycle.step),
            memoryHeadroom: usage.memoryHeadroom,
          },
        }),
    goals: {
      maximumUtilisation: plan.maximumUtilisation,
      violationUsdPerMinute: plan.violationUsdPerMinute,
      ...(plan.maximumViolationMinutes === undefined
        ? {}
        : { maximumViolationMinutes: plan.maximumViolationMinutes }),
    },
    hosts: {
      privateCpuCores: plan.privateCpuCores,
      privateMemoryBytes: plan.privateMemory,
      instance: {
        instanceId: instance.instanceId,
        cpuCores: instance.cpuCores,
        memoryBytes: instance.memoryGiB * 2 ** 30,
        usdPerHour: instance.usdPerHour,
        holdMs: plan.instanceHold,
        leadMs: plan.instanceLead,
        ...(instance.spotUsdPerHour === undefined
          ? {}
          : {
              spot: {
                usdPerHour: instance.spotUsdPerHour,
                interruptionPerHour: instance.spotInterruptionPerHour ?? 0,
              },
            }),
        ...(instance.reservedUsdPerHour === undefined
          ? {}
          : { reservedUsdPerHour: instance.reservedUsdPerHour }),
      },
    },
  };
}
