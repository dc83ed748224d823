import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { SteeredRule, SteeringDatapath, SteerReport } from '../capture/steering.js';
import type { ActuationPlan, JsonValue, Verification } from './actuator.js';
import { actuateError } from './errors.js';
import type { ActuatedLink, EndpointsOf } from './link.js';
import { isIPv6 } from './link.js';
import { LinkWatch } from './link-watch.js';
import type { Steering } from './route-commands.js';
import { type LinkWeights, weightChanges } from './shares.js';
import { StepActuator } from './step-actuator.js';

export interface SteerOptions {
  readonly links: readonly ActuatedLink[];
  readonly endpointsOf: EndpointsOf;
  /** The datapath, once it runs. */
  readonly datapath: () => SteeringDatapath | undefined;
  readonly netns?: string;
  /** What choosing a link means for a workload. Default: `way-out` for all. */
  readonly steeringOf?: (workloadId: number) => Steering;
  /** Whether flows in progress may be moved with the new ones. Default: for none. */
  readonly mayMove?: (workloadId: number) => boolean;
  /** Send by the kernel's stack, so that its queueing disciplines (`htb`) see the packets. Default false. */
  readonly viaStack?: boolean;
  /** Without a sign of life from this process for so long the routing table decides again. Default: steer on. */
  readonly deadmanMs?: number;
  /** Hears of every change that the datapath made. */
  readonly onChange?: (report: SteerReport) => void;
  readonly now?: () => number;
  readonly logger?: Logger;
}

const HEARTBEAT_MS = 1_000;
/** Pins of flows that ended are forgotten every so many heartbeats. */
const MAINTAIN_BEATS = 5;

/**
 * Steers new flows of a workload to links by weight, in the XDP program (bpf/steer.h). Flows in progress stay where
 * they are. A link that goes down is drained at once: by the kernel within a tick when its route has gone, and by this
 * actuator when the kernel says that it has no carrier.
 *
 * Setting = workload id, value = `{linkId: thousandths}`, `null` = the routing table decides.
 */
export class SteerActuator extends StepActuator {
  readonly name = 'steer';
  readonly #options: SteerOptions;
  readonly #watch: LinkWatch;
  #timer: NodeJS.Timeout | undefined;
  #prepared: SteeringDatapath | undefined;
  #beats = 0;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: SteerOptions) {
    super(options.now);
    this.#options = options;
    this.#watch = new LinkWatch(options.netns, ({ interfaceName, up }) =>
      this.#linkChanged(interfaceName, up),
    );
  }

  override async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#watch.stop();
    this.#prepared = undefined;
  }

  /** Also looks the links up again: one that vanished is a difference, one that changed its index is taken in. */
  override async verify(): Promise<Verification> {
    const { holds, differences, ...rest } = await super.verify();
    const problems = this.#prepared === undefined ? [] : this.#setLinks(this.#prepared);
    return { ...rest, holds: holds && problems.length === 0, differences: [...differences, ...problems] };
  }

  protected override async propose(plan: ActuationPlan) {
    return weightChanges(plan, this.#options.links, this.#options.endpointsOf);
  }

  protected override async read(target: string): Promise<JsonValue> {
    const rule = this.#datapath()
      .rules()
      .find((r) => r.workloadId === Number(target));
    return rule === undefined ? null : sorted(rule.weights);
  }

  protected override async write(target: string, value: JsonValue): Promise<void> {
    const datapath = this.#datapath();
    const workloadId = Number(target);
    const others = datapath.rules().filter((rule) => rule.workloadId !== workloadId);
    const own = value === null ? [] : this.#rulesOf(workloadId, value as LinkWeights);
    const working = datapath.apply([...others, ...own]);
    this.#writing = working.catch(() => undefined);
    // Awaited in any case: an optional call that is none evaluates nothing.
    const report = await working;
    this.#options.onChange?.(report);
  }

  #rulesOf(workloadId: number, weights: LinkWeights): SteeredRule[] {
    const { endpointsOf, steeringOf, mayMove } = this.#options;
    return endpointsOf(workloadId).map((endpoint) => ({
      workloadId,
      steering: steeringOf?.(workloadId) ?? 'way-out',
      hard: mayMove?.(workloadId) ?? false,
      address: endpoint.address,
      prefixLength: endpoint.prefixLength ?? (isIPv6(endpoint) ? 128 : 32),
      protocol: endpoint.protocol,
      port: endpoint.port,
      weights,
    }));
  }

  #datapath(): SteeringDatapath {
    const datapath = this.#options.datapath();
    if (datapath === undefined)
      throw actuateError('TG_ACTUATE_TOOL', {
        tool: 'XDP',
        command: 'steer',
        reason: 'the datapath does not run, or was started without steering',
        needs: 'native XDP',
      });
    if (this.#prepared === datapath) return datapath;
    for (const words of this.#setLinks(datapath)) this.#options.logger?.warn({ reason: words }, 'steer');
    this.#prepared = datapath;
    datapath.heartbeat(this.#options.deadmanMs ?? 0);
    this.#watch.start();
    this.#timer ??= setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
    return datapath;
  }

  /** Tells the datapath of every link; words on those that it did not take. */
  #setLinks(datapath: SteeringDatapath): string[] {
    const { links, netns, viaStack = false } = this.#options;
    return links.flatMap((link) => {
      try {
        datapath.setLink({
          linkId: link.linkId,
          interfaceName: link.interfaceName,
          ...(netns === undefined ? {} : { netns }),
          ...(link.nextHopIPv4 === undefined ? {} : { nextHopIPv4: link.nextHopIPv4 }),
          ...(link.nextHopIPv6 === undefined ? {} : { nextHopIPv6: link.nextHopIPv6 }),
          outside: link.network !== 'private',
          viaStack,
        });
        return [];
      } catch (error) {
        return [messageOf(error)];
      }
    });
  }

  #linkChanged(interfaceName: string, up: boolean): void {
    const link = this.#options.links.find((l) => l.interfaceName === interfaceName);
    if (link === undefined || this.#prepared === undefined) return;
    try {
      this.#prepared.drain(link.linkId, !up);
    } catch (error) {
      // Gone: the datapath has it out of service already.
      this.#options.logger?.warn({ link: link.linkId, reason: messageOf(error) }, 'link');
    }
  }

  #beat(): void {
    const datapath = this.#prepared;
    if (datapath === undefined) return;
    datapath.heartbeat(this.#options.deadmanMs ?? 0);
    this.#beats += 1;
    if (this.#beats % MAINTAIN_BEATS !== 0) return;
    this.#writing = this.#writing.then(() =>
      datapath
        .maintain()
        .catch((error: unknown) =>
          this.#options.logger?.warn({ reason: messageOf(error) }, 'pins not looked through'),
        ),
    );
  }
}

const sorted = (weights: LinkWeights): Record<string, number> =>
  Object.fromEntries(Object.entries(weights).sort(([a], [b]) => (a < b ? -1 : 1)));
