/**
 * The program of a traffic process: every client and server of one network of the lab. Started inside that network's
 * namespace, told what to do over IPC, ends when the parent's end of the channel goes away.
 */
import type { LabLinkId } from '../plan.js';
import { BulkClient, BulkServer } from './bulk.js';
import { DatagramClient, DatagramServer } from './datagram.js';
import { DnsClient, DnsServer } from './dns.js';
import { ExchangeClient, ExchangeServer } from './exchange.js';
import type { FromHost, SideReport, ToHost } from './messages.js';
import { type DaySettings, loadLevel } from './profile.js';
import { hash32, seededRandom } from './random.js';
import type { TrafficClient, TrafficServer } from './side.js';
import { StreamClient, StreamServer } from './stream.js';
import { LAB_WORKLOADS, type LabWorkload, type WorkloadSpec } from './workloads.js';

const TICK_MS = 20;
/** Time for the last segments and FINs to be answered before the process ends. */
const LINGER_MS = 300;

const send = (message: FromHost): void => {
  process.send?.(message);
};

function makeServer(node: LabLinkId, spec: WorkloadSpec): TrafficServer {
  switch (spec.kind) {
    case 'bulk':
      return new BulkServer(node, spec);
    case 'exchange':
      return new ExchangeServer(node, spec);
    case 'stream':
      return new StreamServer(node, spec);
    case 'dns':
      return new DnsServer(node, spec);
    case 'datagram':
      return new DatagramServer(node, spec);
  }
}

function makeClient(node: LabLinkId, spec: WorkloadSpec, day: DaySettings, nowMs: number): TrafficClient {
  const random = seededRandom(hash32(`${day.seed}:${spec.name}:${node}`));
  switch (spec.kind) {
    case 'bulk':
      return new BulkClient(node, spec, random, nowMs);
    case 'exchange':
      return new ExchangeClient(node, spec, random, nowMs);
    case 'stream':
      return new StreamClient(node, spec, random, day.seasonMs);
    case 'dns':
      return new DnsClient(node, spec, random, nowMs);
    case 'datagram':
      return new DatagramClient(node, spec, random, nowMs);
  }
}

class Host {
  readonly #init: Extract<ToHost, { type: 'init' }>;
  readonly #servers: TrafficServer[];
  readonly #clients: { readonly spec: WorkloadSpec; readonly client: TrafficClient }[] = [];
  readonly #factors = new Map<LabWorkload, number>();
  readonly #wanted: readonly WorkloadSpec[];
  #timer: NodeJS.Timeout | undefined;

  constructor(init: Extract<ToHost, { type: 'init' }>) {
    this.#init = init;
    this.#wanted = LAB_WORKLOADS.filter((spec) => init.workloads.includes(spec.name));
    this.#servers = this.#wanted
      .filter((spec) => spec.serverNodes.includes(init.node))
      .map((spec) => makeServer(init.node, spec));
  }

  async listen(): Promise<void> {
    for (const server of this.#servers) await server.listen();
  }

  go(): void {
    const { node, day } = this.#init;
    const nowMs = Date.now();
    for (const spec of this.#wanted)
      if (spec.clientNode === node) this.#clients.push({ spec, client: makeClient(node, spec, day, nowMs) });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  load(workload: LabWorkload, factor: number): void {
    this.#factors.set(workload, factor);
  }

  sides(): readonly SideReport[] {
    return [...this.#servers.map((s) => s.report), ...this.#clients.map((c) => c.client.report)];
  }

  /** Clients say goodbye first; servers go on for a moment, so that every octet sent is also received. */
  async stop(): Promise<void> {
    for (const { client } of this.#clients) client.stop();
    await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
    clearInterval(this.#timer);
    for (const server of this.#servers) server.stop();
    await new Promise((resolve) => setTimeout(resolve, LINGER_MS / 3));
  }

  #tick(): void {
    const nowMs = Date.now();
    const { day, scale } = this.#init;
    for (const server of this.#servers) server.tick(nowMs);
    for (const { spec, client } of this.#clients) {
      const level = loadLevel(spec.name, spec.shape, day, nowMs) * (this.#factors.get(spec.name) ?? 1);
      client.tick(nowMs, spec.peak * scale * level);
    }
  }
}

let host: Host | undefined;

async function handle(message: ToHost): Promise<void> {
  switch (message.type) {
    case 'init':
      host = new Host(message);
      await host.listen();
      send({ type: 'ready' });
      break;
    case 'go':
      host?.go();
      break;
    case 'load':
      host?.load(message.workload, message.factor);
      break;
    case 'report':
      send({ type: 'report', sides: host?.sides() ?? [] });
      break;
    case 'stop':
      await host?.stop();
      process.send?.({ type: 'stopped', sides: host?.sides() ?? [] } satisfies FromHost, () =>
        process.exit(0),
      );
      break;
  }
}

process.on('message', (message: ToHost) => {
  handle(message).catch((error: unknown) => {
    send({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  });
});
// The terminal's interrupt goes to the whole group; the parent decides when traffic ends.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
