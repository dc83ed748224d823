import { createSocket, type Socket } from 'node:dgram';
import type { LabLinkId } from '../plan.js';
import type { SideReport } from './messages.js';
import { emptyReport, familyOf, payload, serverFor, type TrafficClient, type TrafficServer } from './side.js';
import { TokenBucket } from './token-bucket.js';
import { CLOSED_PORT, type WorkloadSpec } from './workloads.js';

const socketFor = (address: string): Socket => createSocket(familyOf(address) === 6 ? 'udp6' : 'udp4');

/** Takes datagrams and answers none. */
export class DatagramServer implements TrafficServer {
  readonly report: SideReport;
  readonly #socket: Socket;

  constructor(
    node: LabLinkId,
    readonly spec: WorkloadSpec,
  ) {
    this.report = emptyReport(node, spec, 'server');
    this.#socket = socketFor(spec.serverAddresses[0]!);
  }

  async listen(): Promise<void> {
    this.#socket.on('message', (datagram: Buffer) => {
      this.report.receivedOctets += datagram.length;
      this.report.exchanges += 1;
    });
    await new Promise<void>((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.bind(this.spec.port, this.spec.serverAddresses[0], resolve);
    });
    this.report.connections += 1;
  }

  tick(_nowMs: number): void {}

  stop(): void {
    this.#socket.close();
  }
}

/**
 * Sends `load` datagrams a second, and every two seconds one to a port where nobody listens, which the far kernel
 * answers with ICMP port unreachable.
 */
export class DatagramClient implements TrafficClient {
  readonly report: SideReport;
  readonly #content: Buffer;
  readonly #bucket: TokenBucket;
  readonly #server: string;
  #socket: Socket | undefined;
  #probe: Socket | undefined;
  #probeAtMs: number;
  #stopping = false;

  constructor(
    node: LabLinkId,
    readonly spec: WorkloadSpec,
    readonly random: () => number,
    nowMs: number,
  ) {
    this.report = emptyReport(node, spec, 'client');
    this.#content = payload(random, 512);
    this.#bucket = new TokenBucket(nowMs);
    this.#server = serverFor(spec, spec.clientAddresses[0]!);
    this.#probeAtMs = nowMs + 500;
  }

  tick(nowMs: number, load: number): void {
    this.#bucket.refill(nowMs, load);
    if (this.#stopping) return;
    this.#socket ??= this.#open();
    for (; this.#bucket.available > 0; this.#bucket.take(1)) {
      const octets = 60 + Math.floor(this.random() * 300);
      this.#socket.send(this.#content.subarray(0, octets), this.spec.port, this.#server);
      this.report.sentOctets += octets;
      this.report.exchanges += 1;
    }
    if (nowMs < this.#probeAtMs) return;
    this.#probeAtMs = nowMs + 2000;
    this.#probe ??= this.#open();
    this.#probe.send(this.#content.subarray(0, 32), CLOSED_PORT, this.#server);
    this.report.sentOctets += 32;
  }

  stop(): void {
    this.#stopping = true;
    this.#socket?.close();
    this.#probe?.close();
  }

  #open(): Socket {
    const socket = socketFor(this.spec.clientAddresses[0]!);
    socket.on('error', () => {
      this.report.errors += 1;
    });
    socket.bind({ address: this.spec.clientAddresses[0]! });
    this.report.connections += 1;
    return socket;
  }
}
