import { connect, type Socket } from 'node:net';
import type { LabLinkId } from '../plan.js';
import type { SideReport } from './messages.js';
import { seededRandom } from './random.js';
import { emptyReport, payload, serverFor, type TrafficClient } from './side.js';
import { TcpServer } from './tcp-server.js';
import { TokenBucket } from './token-bucket.js';
import type { WorkloadSpec } from './workloads.js';

const REQUEST_OCTETS = 8;
const STREAM_RATE_BPS = 600_000;

interface Outgoing {
  readonly socket: Socket;
  readonly bucket: TokenBucket;
  readonly rateBps: number;
  readonly untilMs: number;
}

/** Sends at a steady rate: the request is u32 bit/s, u32 ms. */
export class StreamServer extends TcpServer {
  readonly #content = payload(seededRandom(11));
  readonly #outgoing = new Set<Outgoing>();

  protected override accept(socket: Socket): void {
    let request = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      this.report.receivedOctets += chunk.length;
      request = Buffer.concat([request, chunk]);
      if (request.length !== REQUEST_OCTETS) return;
      const outgoing = {
        socket,
        bucket: new TokenBucket(Date.now()),
        rateBps: request.readUInt32BE(0),
        untilMs: Date.now() + request.readUInt32BE(4),
      };
      this.#outgoing.add(outgoing);
      socket.on('close', () => this.#outgoing.delete(outgoing));
    });
    socket.on('end', () => socket.end());
  }

  override tick(nowMs: number): void {
    for (const stream of this.#outgoing) {
      stream.bucket.refill(nowMs, stream.rateBps / 8);
      const octets = Math.min(stream.bucket.available, this.#content.length);
      if (nowMs >= stream.untilMs) {
        this.#outgoing.delete(stream);
        this.report.exchanges += 1;
        stream.socket.end();
      } else if (octets >= 4096 && !stream.socket.writableNeedDrain && stream.socket.writable) {
        stream.bucket.take(octets);
        stream.socket.write(this.#content.subarray(0, octets));
        this.report.sentOctets += octets;
      }
    }
  }
}

/** Keeps `load` streams of 600 kbit/s open, each for 1/15 to 1/5 of a day. */
export class StreamClient implements TrafficClient {
  readonly report: SideReport;
  readonly #streams = new Set<Socket>();
  #stopping = false;

  constructor(
    node: LabLinkId,
    readonly spec: WorkloadSpec,
    readonly random: () => number,
    readonly seasonMs: number,
  ) {
    this.report = emptyReport(node, spec, 'client');
  }

  tick(_nowMs: number, load: number): void {
    if (!this.#stopping && this.#streams.size < Math.round(load)) this.#open();
  }

  stop(): void {
    this.#stopping = true;
    for (const socket of this.#streams) socket.end();
  }

  #open(): void {
    const localAddress = this.spec.clientAddresses[0]!;
    const socket = connect({ host: serverFor(this.spec, localAddress), port: this.spec.port, localAddress });
    this.#streams.add(socket);
    socket.on('connect', () => {
      const request = Buffer.alloc(REQUEST_OCTETS);
      request.writeUInt32BE(STREAM_RATE_BPS, 0);
      request.writeUInt32BE(Math.round((this.seasonMs / 15) * (1 + 2 * this.random())), 4);
      socket.write(request);
      this.report.connections += 1;
      this.report.sentOctets += REQUEST_OCTETS;
    });
    socket.on('data', (chunk) => {
      this.report.receivedOctets += chunk.length;
    });
    socket.on('end', () => {
      this.report.exchanges += 1;
    });
    socket.on('error', () => {
      this.report.errors += 1;
    });
    socket.on('close', () => this.#streams.delete(socket));
  }
}
