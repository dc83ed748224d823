import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { LabLinkId } from '../plan.js';
import { latencyBucket } from './latency.js';
import type { SideReport } from './messages.js';
import { emptyReport, serverFor, type TrafficClient, type TrafficServer } from './side.js';
import { TokenBucket } from './token-bucket.js';
import type { WorkloadSpec } from './workloads.js';

const TYPE_A = 1;
const TYPE_AAAA = 28;
const HEADER_OCTETS = 12;

/** A question in DNS wire format (RFC 1035 4.1). */
export function dnsQuestion(id: number, name: string, type: number): Buffer {
  const labels = name.split('.').flatMap((label) => [Buffer.of(label.length), Buffer.from(label)]);
  const header = Buffer.alloc(HEADER_OCTETS);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2); // recursion desired
  header.writeUInt16BE(1, 4);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(type, 0);
  tail.writeUInt16BE(1, 2); // class IN
  return Buffer.concat([header, ...labels, Buffer.of(0), tail]);
}

/** The answer to a question: 1 to 4 documentation addresses. Undefined for what is no question. */
export function dnsAnswer(question: Buffer): Buffer | undefined {
  if (question.length < HEADER_OCTETS + 5 || question.readUInt16BE(4) !== 1) return undefined;
  const type = question.readUInt16BE(question.length - 4);
  const count = 1 + (question.readUInt16BE(0) % 4);
  const header = Buffer.from(question);
  header.writeUInt16BE(0x8180, 2); // answer, recursion available
  header.writeUInt16BE(count, 6);
  const records = Array.from({ length: count }, (_, i) => {
    const address =
      type === TYPE_AAAA
        ? Buffer.from('20010db8000000000000000000000000', 'hex')
        : Buffer.of(192, 0, 2, 128 + i);
    const record = Buffer.alloc(HEADER_OCTETS);
    record.writeUInt16BE(0xc00c, 0); // the name, by pointer
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(300, 6);
    record.writeUInt16BE(address.length, 10);
    return Buffer.concat([record, address]);
  });
  return Buffer.concat([header, ...records]);
}

export class DnsServer implements TrafficServer {
  readonly report: SideReport;
  readonly #socket: Socket = createSocket('udp4');

  constructor(
    node: LabLinkId,
    readonly spec: WorkloadSpec,
  ) {
    this.report = emptyReport(node, spec, 'server');
  }

  async listen(): Promise<void> {
    this.#socket.on('message', (question: Buffer, from: RemoteInfo) => {
      this.report.receivedOctets += question.length;
      const answer = dnsAnswer(question);
      if (answer === undefined) {
        this.report.errors += 1;
        return;
      }
      this.#socket.send(answer, from.port, from.address);
      this.report.sentOctets += answer.length;
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

/** Asks `load` questions a second; takes another source port every few questions, as resolvers do. */
export class DnsClient implements TrafficClient {
  readonly report: SideReport;
  readonly #bucket: TokenBucket;
  readonly #asked = new Map<number, number>();
  readonly #open = new Set<Socket>();
  #socket: Socket | undefined;
  #leftOnPort = 0;
  #stopping = false;

  constructor(
    node: LabLinkId,
    readonly spec: WorkloadSpec,
    readonly random: () => number,
    nowMs: number,
  ) {
    this.report = emptyReport(node, spec, 'client');
    this.#bucket = new TokenBucket(nowMs);
  }

  tick(nowMs: number, load: number): void {
    this.#bucket.refill(nowMs, load);
    if (this.#stopping) return;
    for (; this.#bucket.available > 0; this.#bucket.take(1)) {
      if (this.#leftOnPort === 0) this.#openPort();
      this.#leftOnPort -= 1;
      const id = Math.floor(this.random() * 65_536);
      const name = `host-${Math.floor(this.random() * 500)}.example.com`;
      const question = dnsQuestion(id, name, this.random() < 0.7 ? TYPE_A : TYPE_AAAA);
      this.#asked.set(id, nowMs);
      this.#socket?.send(question, this.spec.port, serverFor(this.spec, this.spec.clientAddresses[0]!));
      this.report.sentOctets += question.length;
    }
  }

  stop(): void {
    this.#stopping = true;
    for (const socket of this.#open) socket.close();
    this.#open.clear();
  }

  #openPort(): void {
    const old = this.#socket;
    // Answers to the last questions are still on their way.
    if (old)
      setTimeout(() => {
        if (this.#open.delete(old)) old.close();
      }, 500);
    const socket = createSocket('udp4');
    this.#open.add(socket);
    socket.bind({ address: this.spec.clientAddresses[0]! });
    socket.on('error', () => {
      this.report.errors += 1;
    });
    socket.on('message', (answer: Buffer) => {
      this.report.receivedOctets += answer.length;
      this.report.exchanges += 1;
      const askedMs = this.#asked.get(answer.readUInt16BE(0));
      if (askedMs === undefined) return;
      this.#asked.delete(answer.readUInt16BE(0));
      const bucket = latencyBucket(Date.now() - askedMs);
      this.report.latency[bucket] = (this.report.latency[bucket] ?? 0) + 1;
    });
    this.#socket = socket;
    this.#leftOnPort = 1 + Math.floor(this.random() * 8);
    this.report.connections += 1;
  }
}
