import { connect, type Socket } from 'node:net';
import type { LabLinkId } from '../plan.js';
import type { SideReport } from './messages.js';
import { emptyReport, payload, serverFor, type TrafficClient } from './side.js';
import { TcpServer } from './tcp-server.js';
import { TokenBucket } from './token-bucket.js';
import type { WorkloadSpec } from './workloads.js';

const HEADER_OCTETS = 8;

/** Takes files: 8 octets length, the content, then one octet back. */
export class BulkServer extends TcpServer {
  protected override accept(socket: Socket): void {
    let header = Buffer.alloc(0);
    let expected = -1;
    let taken = 0;
    socket.on('data', (chunk) => {
      this.report.receivedOctets += chunk.length;
      let content = chunk.length;
      if (expected < 0) {
        header = Buffer.concat([header, chunk]);
        if (header.length < HEADER_OCTETS) return;
        expected = Number(header.readBigUInt64BE(0));
        content = header.length - HEADER_OCTETS;
      }
      taken += content;
      if (taken >= expected) {
        socket.end(Buffer.of(1));
        this.report.sentOctets += 1;
        this.report.exchanges += 1;
      }
    });
    socket.on('end', () => socket.end());
  }
}

/** Uploads files one after the other, each over a connection of its own, at the load in bit/s. */
export class BulkClient implements TrafficClient {
  readonly report: SideReport;
  readonly #content: Buffer;
  readonly #bucket: TokenBucket;
  #socket: Socket | undefined;
  #left = 0;
  #connected = false;
  #retryAtMs = 0;
  #stopping = false;

  constructor(
    node: LabLinkId,
    readonly spec: WorkloadSpec,
    readonly random: () => number,
    nowMs: number,
  ) {
    this.report = emptyReport(node, spec, 'client');
    this.#content = payload(random);
    this.#bucket = new TokenBucket(nowMs);
  }

  tick(nowMs: number, load: number): void {
    this.#bucket.refill(nowMs, load / 8);
    if (this.#stopping || this.#bucket.available < 1024) return;
    if (this.#socket === undefined) {
      if (nowMs >= this.#retryAtMs) this.#open(nowMs);
      return;
    }
    const socket = this.#socket;
    while (this.#connected && this.#left > 0 && !socket.writableNeedDrain && this.#bucket.available >= 1024) {
      const octets = Math.min(this.#left, this.#bucket.available, 16_384);
      const from = Math.floor(this.random() * (this.#content.length - octets));
      socket.write(this.#content.subarray(from, from + octets));
      this.#bucket.take(octets);
      this.#left -= octets;
      this.report.sentOctets += octets;
    }
  }

  stop(): void {
    this.#stopping = true;
    this.#socket?.end();
  }

  #open(nowMs: number): void {
    const localAddress = this.spec.clientAddresses[0]!;
    const size = Math.floor(5e5 + this.random() * 3.5e6);
    const socket = connect({ host: serverFor(this.spec, localAddress), port: this.spec.port, localAddress });
    this.#socket = socket;
    this.#connected = false;
    socket.on('connect', () => {
      const header = Buffer.alloc(HEADER_OCTETS);
      header.writeBigUInt64BE(BigInt(size));
      socket.write(header);
      this.report.connections += 1;
      this.report.sentOctets += HEADER_OCTETS;
      this.#left = size;
      this.#connected = true;
    });
    socket.on('data', (chunk) => {
      this.report.receivedOctets += chunk.length;
      this.report.exchanges += 1;
    });
    socket.on('error', () => {
      this.report.errors += 1;
      this.#retryAtMs = nowMs + 500;
    });
    socket.on('close', () => {
      this.#socket = undefined;
    });
  }
}
