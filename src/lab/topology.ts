import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { labError } from './errors.js';
import {
  missingForNamespaces,
  netnsPath,
  removeNamespaces,
  runInNamespace,
  runWithInput,
} from './namespaces.js';
import { OwnerFile } from './owner.js';
import { LAB_LINKS, type LabLinkId, type LabNode } from './plan.js';
import { cablesBatch, gatewayScript, peerScript } from './topology-script.js';

export interface LabInterface {
  /** Name inside the gateway namespace. */
  readonly name: string;
  readonly network: 'private' | 'public';
  readonly linkId: LabLinkId;
  /** The gateway's own addresses on the link. */
  readonly ipv4: string;
  readonly ipv6: string;
  /** Next hop behind the link. */
  readonly peerIPv4: string;
  readonly peerIPv6: string;
}

export interface LabTopologyOptions {
  /** Namespaces are called `<name>-private`, …; unique among the labs of a machine. Default `tidegate`. */
  readonly name?: string;
  /** Where the owner is recorded, to tell a running lab from leftovers. Default `/run/tidegate/lab`. */
  readonly stateDirectory?: string;
  /** Receive and transmit queues of each NIC. Default: one a CPU, at most 4. */
  readonly queues?: number;
  readonly logger?: Logger;
}

const NAME = /^[a-z][a-z0-9-]{0,23}$/;

/**
 * A gateway with three NICs in network namespaces, a network behind each, joined by veth. Nothing outside these
 * namespaces can receive anything sent in them: both ends of each cable are born inside, no interface leads to the
 * host, and there is no default route.
 *
 * `start` removes what a killed lab of the same name left behind, and fails with TG_LAB_BUSY if one is alive.
 * `stop` removes everything: processes still inside are ended, then the namespaces go with their interfaces.
 */
export class LabTopology implements Component {
  readonly name: string;
  readonly interfaces: readonly LabInterface[] = LAB_LINKS.map((link) => ({
    name: link.interfaceName,
    network: link.network,
    linkId: link.linkId,
    ipv4: link.ipv4.gateway,
    ipv6: link.ipv6.gateway,
    peerIPv4: link.ipv4.host,
    peerIPv6: link.ipv6.host,
  }));
  readonly #owner: OwnerFile;
  readonly #queues: number;
  readonly #logger: Logger | undefined;
  #claimed = false;

  constructor(options: LabTopologyOptions = {}) {
    this.name = options.name ?? 'tidegate';
    if (!NAME.test(this.name)) throw labError('TG_LAB_NAME', { name: this.name });
    this.#owner = new OwnerFile(options.stateDirectory ?? '/run/tidegate/lab', this.name);
    this.#queues = options.queues ?? Math.min(availableParallelism(), 4);
    this.#logger = options.logger;
  }

  /** Name of a namespace, as `ip netns` shows it. */
  namespaceOf(node: LabNode): string {
    return `${this.name}-${node}`;
  }

  /** Path of a namespace, for `nsenter --net=PATH` and setns(2). */
  netnsOf(node: LabNode): string {
    return netnsPath(this.namespaceOf(node));
  }

  get gatewayNetns(): string {
    return this.netnsOf('gateway');
  }

  get namespaces(): readonly string[] {
    return [this.namespaceOf('gateway'), ...LAB_LINKS.map((link) => this.namespaceOf(link.linkId))];
  }

  async start(): Promise<void> {
    const missing = missingForNamespaces();
    if (missing?.code === 'privilege') throw labError('TG_LAB_PRIVILEGE', { capabilities: missing.what });
    if (missing) throw labError('TG_LAB_TOOL', { tool: missing.what, package: missing.from });
    const pid = this.#owner.livingOwner();
    if (pid !== undefined) throw labError('TG_LAB_BUSY', { name: this.name, pid });
    const stale = this.namespaces.filter((name) => existsSync(netnsPath(name)));
    if (stale.length > 0) {
      this.#logger?.warn({ namespaces: stale }, 'removing what a killed lab left behind');
      await removeNamespaces(stale);
    }
    this.#owner.claim();
    this.#claimed = true;
    try {
      await this.#build();
    } catch (error) {
      await this.stop().catch((left: unknown) => this.#logger?.error({ err: left }, 'lab not removed'));
      throw error;
    }
    this.#logger?.info({ namespaces: this.namespaces }, 'lab built');
  }

  async stop(): Promise<void> {
    if (!this.#claimed) return;
    await removeNamespaces(this.namespaces);
    this.#owner.release();
    this.#claimed = false;
  }

  async #build(): Promise<void> {
    const step = async (where: string, work: Promise<unknown>): Promise<void> => {
      try {
        await work;
      } catch (cause) {
        throw labError('TG_LAB_BUILD', { where, reason: messageOf(cause).replaceAll('\n', '; ') }, cause);
      }
    };
    await step(
      'cabling',
      runWithInput(
        'ip',
        ['-batch', '-'],
        cablesBatch((node) => this.namespaceOf(node), this.#queues),
      ),
    );
    // The gateway first: peers' neighbour requests then find it up.
    await step('gateway', runInNamespace(this.namespaceOf('gateway'), gatewayScript()));
    const peers = LAB_LINKS.map((link) =>
      step(link.linkId, runInNamespace(this.namespaceOf(link.linkId), peerScript(link.linkId))),
    );
    const failed = (await Promise.allSettled(peers)).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}
