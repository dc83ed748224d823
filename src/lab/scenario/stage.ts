import {
  type ActuationPlan,
  type Journal,
  type JournalEntry,
  RouteActuator,
  type ServiceEndpoint,
  SteerActuator,
} from '../../actuate/index.js';
import type { SteerReport } from '../../capture/steering.js';
import { XdpSource } from '../../capture/xdp.js';
import { LAB_BURST, LAB_BURST_CLIENTS, type LabLinkId } from '../plan.js';
import type { LabTopology } from '../topology.js';
import { LAB_WORKLOADS } from '../traffic/workloads.js';
import { Prober } from './prober.js';
import type { Flip } from './report.js';

/** The workload that scenarios steer: the burst service, served in private and in public-a. */
export const BURST_WORKLOAD = 1;
export const BURST_PORT = 7000;
const WEB_PORT = LAB_WORKLOADS.find((spec) => spec.name === 'web')!.port;

/** The actuators that steer. */
export const STEERING_NAMES = ['steer', 'route'] as const;
export type SteeringName = (typeof STEERING_NAMES)[number];

/** A journal in memory: a scenario's is part of its report. */
export class ScenarioJournal implements Journal {
  readonly all: JournalEntry[] = [];

  async append(entry: JournalEntry): Promise<void> {
    this.all.push(entry);
  }

  async entries(): Promise<readonly JournalEntry[]> {
    return [...this.all];
  }
}

/** What every scenario needs: a lab, an actuator in its gateway, a prober in each network. */
export class Stage {
  readonly journal = new ScenarioJournal();
  /** How flows are steered: by the XDP program, or by the kernel's routing. */
  readonly steering: SteerActuator | RouteActuator;
  /** The datapath that meters and, with `steer`, steers; absent with `route`. */
  readonly source: XdpSource | undefined;
  readonly private: Prober;
  readonly publicA: Prober;
  /** Where the clients are. */
  readonly publicB: Prober;
  /** Never sends; reads the counters of the gateway's namespace. */
  readonly gateway: Prober;
  readonly host = LAB_BURST.ipv4;
  readonly client = LAB_BURST_CLIENTS[0];
  readonly #changes: SteerReport[] = [];
  #plans = 0;

  constructor(
    readonly topology: LabTopology,
    how: SteeringName = 'steer',
    /** Steer through the kernel's queues, which XDP passes by. */
    viaStack = false,
  ) {
    const endpoint = (port: number, protocol: 'tcp' | 'udp'): ServiceEndpoint => ({
      address: LAB_BURST.ipv4,
      protocol,
      port,
    });
    const options = {
      links: topology.interfaces.map((i) => ({
        linkId: i.linkId,
        interfaceName: i.name,
        network: i.network,
        nextHopIPv4: i.peerIPv4,
      })),
      endpointsOf: () => [
        endpoint(BURST_PORT, 'tcp'),
        endpoint(BURST_PORT, 'udp'),
        endpoint(WEB_PORT, 'tcp'),
      ],
      steeringOf: () => 'placement' as const,
      netns: topology.gatewayNetns,
    };
    if (how === 'steer') {
      const source = new XdpSource({
        interfaces: topology.interfaces.map((i) => ({ name: i.name, netns: topology.gatewayNetns })),
        steering: true,
        // As a whole gateway in a lab has it: probes of a moment ago are no flows in progress.
        idleTimeoutMs: 2_000,
      });
      this.source = source;
      this.steering = new SteerActuator({
        ...options,
        viaStack,
        datapath: () => source.steering,
        onChange: (report) => this.#changes.push(report),
      });
    } else {
      this.source = undefined;
      this.steering = new RouteActuator(options);
    }
    this.private = new Prober('private', topology.netnsOf('private'));
    this.publicA = new Prober('public-a', topology.netnsOf('public-a'));
    this.publicB = new Prober('public-b', topology.netnsOf('public-b'));
    this.gateway = new Prober('gateway', topology.netnsOf('gateway'));
  }

  /** Starts the datapath. */
  async open(): Promise<void> {
    await this.source?.start();
  }

  /** A plan for new flows to the burst service. */
  plan(shares: Readonly<Record<string, number>>): ActuationPlan {
    this.#plans += 1;
    return {
      planId: `scenario-${this.#plans}`,
      createdMs: Date.now(),
      expiresMs: Date.now() + 3_600_000,
      allocations: Object.entries(shares).map(([target, share]) => ({
        workloadId: BURST_WORKLOAD,
        workloadName: 'burst',
        resource: 'bandwidth',
        target,
        share,
        fromMs: 0,
        untilMs: Number.MAX_SAFE_INTEGER,
      })),
    };
  }

  /** New flows to the burst service by these shares from now on. */
  async weights(shares: Readonly<Record<string, number>>): Promise<void> {
    await this.steering.apply(this.plan(shares), this.journal);
  }

  /** All of them by one link, to the server number `to`, and when that was asked for. */
  async flip(linkId: LabLinkId, to: number): Promise<Flip> {
    const plannedMs = monotonicMs();
    const before = this.#changes.length;
    await this.weights({ [linkId]: 1 });
    const change = this.#changes[before];
    return { to, plannedMs, askedMs: change === undefined ? plannedMs : change.askedNs / 1e6 };
  }

  /** Tells the actuator that a link came back, where it does not find out by itself. */
  async linksChanged(): Promise<void> {
    if (this.steering instanceof RouteActuator) await this.steering.refresh();
  }

  /** Packets that came into the gateway. */
  gatewayPackets(): number {
    const counters = this.gateway.interfaceCounters();
    return this.topology.interfaces.reduce((sum, i) => sum + (counters.get(i.name)?.rxPackets ?? 0), 0);
  }

  /** Octets that came into the gateway by a link. */
  receivedFrom(link: LabLinkId): number {
    return this.gateway.interfaceCounters().get(link)?.rxOctets ?? 0;
  }

  /** Packets that any interface of the lab threw away: what a starved CPU loses, whoever steers. */
  interfaceDrops(): number {
    return [this.private, this.publicA, this.publicB, this.gateway]
      .flatMap((prober) => [...prober.interfaceCounters().values()])
      .reduce((sum, counters) => sum + counters.drops, 0);
  }

  async close(): Promise<void> {
    await this.steering.close();
    await Promise.all([this.private, this.publicA, this.publicB, this.gateway].map((prober) => prober.end()));
    await this.source?.stop();
  }
}

/** Milliseconds of the monotonic clock, as the probers use it. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
