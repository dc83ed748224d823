import { connect, type Socket } from 'node:net';
import type { LabLinkId } from '../plan.js';
import { latencyBucket } from './latency.js';
import type { SideReport } from './messages.js';
import { seededRandom } from './random.js';
import { emptyReport, payload, serverFor, type TrafficClient } from './side.js';
import { TcpServer } from './tcp-server.js';
import { TokenBucket } from './token-bucket.js';
import type { WorkloadSpec } from './workloads.js';

const HEADER_OCTETS = 8;
const MAX_CONNECTIONS = 256;

/** Answers requests: header = u32 octets that follow, u32 octets to answer with. */
export class ExchangeServer extends TcpServer {
  readonly #content = payload(seededRandom(7));

  protected override accept(socket: Socket): void {
    let buffered = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      this.report.receivedOctets += chunk.length;
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
      while (buffered.length >= HEADER_OCTETS) {
        const request = HEADER_OCTETS + buffered.readUInt32BE(0);
        const answer = Math.min(buffered.readUInt32BE(4), this.#content.length);
        if (buffered.length < request) break;
        buffered = buffered.subarray(request);
        socket.write(this.#content.subarray(0, answer));
        this.report.sentOctets += answer;
        this.report.exchanges += 1;
      }
    });
    socket.on('end', () => socket.end());
  }
}

/** A connection with at most one request under way. */
interface Conversation {
  readonly socket: Socket;
  exchangesLeft: number;
  awaitedOctets: number;
  askedMs: number;
  idle: boolean;
}

/**
 * Asks `load` requests a second over kept-alive connections of a few exchanges each; opens another connection
 * when all are waiting. Latency counts from the moment a request was due, so that a stalled service shows.
 */
export class ExchangeClient implements TrafficClient {
  readonly report: SideReport;
  readonly #content: Buffer;
  readonly #bucket: TokenBucket;
  readonly #conversations = new Set<Conversation>();
  readonly #dueMs: number[] = [];
  #next = 0;
  #connecting = 0;
  #stopping = false;

  constructor(
    node: LabLinkId,
    readonly spec: WorkloadSpec,
    readonly random: () => number,
    nowMs: number,
  ) {
    this.report = emptyReport(node, spec, 'client');
    this.#content = payload(random, 4096);
    this.#bucket = new TokenBucket(nowMs);
  }

  tick(nowMs: number, load: number): void {
    this.#bucket.refill(nowMs, load);
    if (this.#stopping) return;
    const due = this.#bucket.available;
    this.#bucket.take(due);
    for (let i = 0; i < due; i += 1) this.#dueMs.push(nowMs);
    // A service that is away for long loses requests, as browsers give up; they are counted.
    while (this.#dueMs.length > 4 * MAX_CONNECTIONS) {
      this.#dueMs.shift();
      this.report.errors += 1;
    }
    for (const conversation of this.#conversations) if (conversation.idle) this.#ask(conversation);
    // One connection for each request that waits, however long it takes to come about.
    while (this.#dueMs.length > this.#connecting && this.#conversations.size < MAX_CONNECTIONS) this.#open();
  }

  stop(): void {
    this.#stopping = true;
    for (const conversation of this.#conversations) conversation.socket.end();
  }

  #open(): void {
    const localAddress = this.spec.clientAddresses[this.#next % this.spec.clientAddresses.length]!;
    this.#next += 1;
    const socket = connect({
      host: serverFor(this.spec, localAddress),
      port: this.spec.port,
      localAddress,
      noDelay: true,
    });
    const conversation: Conversation = {
      socket,
      exchangesLeft: 1 + Math.floor(this.random() * (this.spec.maxExchanges ?? 1)),
      awaitedOctets: 0,
      askedMs: 0,
      idle: false,
    };
    this.#conversations.add(conversation);
    this.#connecting += 1;
    const settled = (): void => {
      this.#connecting -= 1;
      socket.off('connect', settled).off('close', settled);
    };
    socket.on('connect', settled).on('close', settled);
    socket.on('connect', () => {
      this.report.connections += 1;
      conversation.idle = true;
      this.#ask(conversation);
    });
    socket.on('data', (chunk) => this.#answered(conversation, chunk.length));
    socket.on('error', () => {
      this.report.errors += 1;
    });
    socket.on('close', () => this.#conversations.delete(conversation));
  }

  #ask(conversation: Conversation): void {
    const dueMs = this.#dueMs.shift();
    if (dueMs === undefined || this.#stopping) return;
    const octets = 120 + Math.floor(this.random() * 700);
    const header = Buffer.alloc(HEADER_OCTETS);
    header.writeUInt32BE(octets, 0);
    conversation.awaitedOctets = 600 + Math.floor(this.random() ** 3 * 12_000);
    header.writeUInt32BE(conversation.awaitedOctets, 4);
    conversation.idle = false;
    conversation.askedMs = dueMs;
    conversation.exchangesLeft -= 1;
    conversation.socket.write(Buffer.concat([header, this.#content.subarray(0, octets)]));
    this.report.sentOctets += HEADER_OCTETS + octets;
  }

  #answered(conversation: Conversation, octets: number): void {
    this.report.receivedOctets += octets;
    conversation.awaitedOctets -= octets;
    if (conversation.awaitedOctets > 0) return;
    this.report.exchanges += 1;
    const bucket = latencyBucket(Date.now() - conversation.askedMs);
    this.report.latency[bucket] = (this.report.latency[bucket] ?? 0) + 1;
    if (conversation.exchangesLeft <= 0) conversation.socket.end();
    else {
      conversation.idle = true;
      this.#ask(conversation);
    }
  }
}
