import { type ChildProcess, fork } from 'node:child_process';
import type { Component } from '../../base/component.js';
import type { Logger } from '../../base/logger.js';
import { workerFile } from '../../base/worker-file.js';
import { labError } from '../errors.js';
import { LAB_LINKS, type LabLinkId } from '../plan.js';
import type { LabTopology } from '../topology.js';
import type { FromHost, SideReport, ToHost } from './messages.js';
import { LAB_WORKLOADS, type LabWorkload } from './workloads.js';

export interface LabTrafficOptions {
  readonly topology: LabTopology;
  /** Length of the compressed day. Default 60 s. */
  readonly seasonMs?: number;
  /** Same seed, same days. Default 1. */
  readonly seed?: number;
  /** Multiplies every load. Default 1: about 20 Mbit/s and 3000 packets a second at the peak. */
  readonly scale?: number;
  /** Start of day 0, Unix ms. Default 0: the days of all labs are aligned. */
  readonly epochMs?: number;
  /** Which workloads run. Default all. */
  readonly workloads?: readonly LabWorkload[];
  readonly logger?: Logger;
}

/** What all sides of all workloads say they did. */
export interface TrafficReport {
  readonly atMs: number;
  readonly sides: readonly SideReport[];
}

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;

/** One traffic process and the questions it still has to answer. */
class TrafficHost {
  readonly node: LabLinkId;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<FromHost['type'], (message: FromHost) => void>();
  #failure: string | undefined;
  #fail: ((reason: string) => void)[] = [];
  last: readonly SideReport[] = [];

  constructor(node: LabLinkId, netns: string, onLost: (node: LabLinkId, reason: string) => void) {
    this.node = node;
    // nsenter replaces itself by node, so this is one process, and the channel is inherited through it.
    this.#child = fork(workerFile(import.meta.url, './host'), [], {
      execPath: 'nsenter',
      execArgv: [`--net=${netns}`, process.execPath],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true,
    });
    this.#child.on('message', (message: FromHost) => this.#receive(message));
    const ended = (reason: string): void => {
      if (this.#failure !== undefined) return;
      this.#failure = reason;
      for (const fail of this.#fail) fail(reason);
      onLost(node, reason);
    };
    this.#child.on('error', (error) => ended(error.message));
    this.#child.on('exit', (code, signal) => ended(`ended with ${signal ?? `status ${code}`}`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  tell(message: ToHost): void {
    if (this.#child.connected) this.#child.send(message);
  }

  /** Sends a message and waits for its answer; rejects with TG_LAB_TRAFFIC on failure or after `timeoutMs`. */
  async ask(message: ToHost, answer: FromHost['type'], timeoutMs: number): Promise<FromHost> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(timer);
        reject(labError('TG_LAB_TRAFFIC', { network: this.node, reason }));
      };
      const timer = setTimeout(() => fail(`gave no answer for ${timeoutMs / 1000} s`), timeoutMs);
      if (this.#failure !== undefined) {
        fail(this.#failure);
        return;
      }
      this.#fail.push(fail);
      this.#waiting.set(answer, (received) => {
        clearTimeout(timer);
        this.#fail = this.#fail.filter((other) => other !== fail);
        resolve(received);
      });
      this.tell(message);
    });
  }

  /** Ends the process by its id and waits until it is gone. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 1000);
    if (this.#child.connected)
      this.#child.disconnect(); // the process ends when its channel does
    else this.#child.kill('SIGTERM');
    await gone;
    clearTimeout(timer);
  }

  #receive(message: FromHost): void {
    if (message.type === 'failed') {
      for (const fail of this.#fail) fail(`failed: ${message.reason}`);
      return;
    }
    if (message.type !== 'ready') this.last = message.sides;
    const waiting = this.#waiting.get(message.type);
    this.#waiting.delete(message.type);
    waiting?.(message);
  }
}

/**
 * Real clients and servers on kernel sockets in the lab's namespaces: one process per network. `start` resolves when
 * all servers listen and clients begin. `stop` ends conversations first, so that what was sent is also received, then
 * the processes; `finalReport` has the sums.
 */
export class LabTraffic implements Component {
  readonly #options: LabTrafficOptions;
  #hosts: TrafficHost[] = [];
  #final: TrafficReport | undefined;
  #stopping = false;

  constructor(options: LabTrafficOptions) {
    const { seasonMs = 60_000, scale = 1 } = options;
    if (!(seasonMs >= 1000))
      throw labError('TG_LAB_OPTION', { option: 'season', reason: 'must be 1 s or more' });
    if (!(scale > 0)) throw labError('TG_LAB_OPTION', { option: 'scale', reason: 'must be above 0' });
    this.#options = options;
  }

  /** Process ids of the traffic processes that run. */
  get pids(): readonly number[] {
    return this.#hosts.map((host) => host.pid).filter((pid) => pid !== undefined);
  }

  /** The sums at the end, once `stop` has resolved. */
  get finalReport(): TrafficReport | undefined {
    return this.#final;
  }

  async start(): Promise<void> {
    const { topology, seasonMs = 60_000, seed = 1, scale = 1, epochMs = 0, workloads } = this.#options;
    this.#stopping = false;
    this.#final = undefined;
    this.#hosts = LAB_LINKS.map(
      ({ linkId }) =>
        new TrafficHost(linkId, topology.netnsOf(linkId), (node, reason) => {
          if (!this.#stopping) this.#options.logger?.error({ network: node, reason }, 'traffic process lost');
        }),
    );
    try {
      const init = {
        type: 'init' as const,
        day: { seasonMs, seed, epochMs },
        scale,
        workloads: workloads ?? LAB_WORKLOADS.map((spec) => spec.name),
      };
      await Promise.all(
        this.#hosts.map((host) => host.ask({ ...init, node: host.node }, 'ready', START_TIMEOUT_MS)),
      );
    } catch (error) {
      await this.#end();
      throw error;
    }
    for (const host of this.#hosts) host.tell({ type: 'go' });
    this.#options.logger?.info({ seasonMs, seed, scale }, 'lab traffic started');
  }

  /** Multiplies one workload's load from now on, on top of its profile; 1 is normal, 0 silences it. */
  setLoad(workload: LabWorkload, factor: number): void {
    for (const host of this.#hosts) host.tell({ type: 'load', workload, factor });
  }

  /** What every side did so far, in application octets. */
  async report(): Promise<TrafficReport> {
    await Promise.all(this.#hosts.map((host) => host.ask({ type: 'report' }, 'report', STOP_TIMEOUT_MS)));
    return { atMs: Date.now(), sides: this.#hosts.flatMap((host) => host.last) };
  }

  async stop(): Promise<void> {
    if (this.#hosts.length === 0) return;
    this.#stopping = true;
    // A process that is gone or hangs has no more to say: its last report stands.
    await Promise.allSettled(
      this.#hosts.map((host) => host.ask({ type: 'stop' }, 'stopped', STOP_TIMEOUT_MS)),
    );
    this.#final = { atMs: Date.now(), sides: this.#hosts.flatMap((host) => host.last) };
    await this.#end();
  }

  async #end(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.end()));
    this.#hosts = [];
  }
}
