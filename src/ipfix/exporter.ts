import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createConnection, isIPv6, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Component } from '../base/component.js';
import { defineErrors, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { FlowBatch } from '../flow/batch.js';
import type { IpfixConfig } from './config.js';
import { IpfixEncoder } from './encoder.js';

const fail = defineErrors({
  TG_IPFIX_CONNECT: {
    message: 'the IPFIX collector {collector} does not answer: {reason}',
    hint: 'check ipfix.collector and ipfix.transport',
  },
});

export interface IpfixCounters {
  readonly records: number;
  readonly messages: number;
  readonly octets: number;
  /** Records that no collector took. */
  readonly lostRecords: number;
}

const CONNECT_MS = 5_000;
const RETRY_MS = 5_000;
/** Datagrams in a row before the collector is given a moment: UDP tells nobody that a receiver does not keep up. */
const BURST = 64;
const BREATH_MS = 5;

/** Sends flow records to an IPFIX collector (RFC 7011) over UDP or TCP. What cannot be sent is counted, never waited for. */
export class IpfixExporter implements Component {
  readonly #config: IpfixConfig & { readonly collector: string };
  readonly #logger: Logger;
  readonly #encoder: IpfixEncoder;
  readonly #host: string;
  readonly #port: number;
  #udp: UdpSocket | undefined;
  #tcp: Socket | undefined;
  #templatesMs = Number.NEGATIVE_INFINITY;
  #retryMs = 0;
  #records = 0;
  #messages = 0;
  #octets = 0;
  #lost = 0;
  #sending: Promise<void> = Promise.resolve();

  /** `names`: also what is known of flows' applications. */
  constructor(config: IpfixConfig & { readonly collector: string }, logger: Logger, names = false) {
    this.#config = config;
    this.#logger = logger;
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(config.collector) ?? [];
    this.#host = host.replace(/^\[|\]$/g, '');
    this.#port = Number(port);
    this.#encoder = new IpfixEncoder({
      observationDomainId: config.observationDomainId,
      messageOctets: config.messageOctets,
      names,
      ...(config.standardOnly ? {} : { enterprise: config.enterprise }),
    });
  }

  counters(): IpfixCounters {
    return {
      records: this.#records,
      messages: this.#messages,
      octets: this.#octets,
      lostRecords: this.#lost,
    };
  }

  /** @throws TG_IPFIX_CONNECT when a TCP collector does not answer now */
  async start(): Promise<void> {
    if (this.#config.transport === 'tcp') {
      await this.#connect();
    } else {
      const socket = createSocket(isIPv6(this.#host) ? 'udp6' : 'udp4');
      // A closed port is told by ICMP with the next datagram: the collector is away, and may be back soon.
      socket.on('error', (error) => this.#logger.warn({ reason: messageOf(error) }, 'IPFIX collector away'));
      await new Promise<void>((resolve) => socket.connect(this.#port, this.#host, resolve));
      this.#udp = socket;
    }
  }

  /** Sends what was accepted, then closes. */
  async stop(): Promise<void> {
    await this.#sending;
    await new Promise<void>((resolve) => (this.#udp ? this.#udp.close(resolve) : resolve()));
    this.#udp = undefined;
    await new Promise<void>((resolve) => (this.#tcp ? this.#tcp.end(resolve) : resolve()));
    this.#tcp?.destroy();
    this.#tcp = undefined;
  }

  /** Encodes a batch at once, so that it may be released, and sends it behind what is being sent. */
  export(batch: FlowBatch): Promise<void> {
    const nowMs = Date.now();
    const messages: Buffer[] = [];
    if (nowMs - this.#templatesMs >= this.#config.templatesEvery) {
      messages.push(...this.#encoder.templates(nowMs / 1000));
      // A TCP session keeps its templates.
      this.#templatesMs = this.#config.transport === 'tcp' ? Number.POSITIVE_INFINITY : nowMs;
    }
    messages.push(...this.#encoder.records(batch, nowMs / 1000));
    const { rows } = batch;
    this.#sending = this.#sending.then(() => this.#send(messages, rows));
    return this.#sending;
  }

  async #send(messages: readonly Buffer[], records: number): Promise<void> {
    try {
      if (this.#config.transport === 'tcp') await this.#sendTcp(messages);
      else await this.#sendUdp(messages);
      this.#records += records;
      this.#messages += messages.length;
      this.#octets += messages.reduce((sum, message) => sum + message.length, 0);
    } catch (error) {
      this.#lost += records;
      this.#logger.warn({ records, reason: messageOf(error) }, 'records were not exported');
    }
  }

  async #sendUdp(messages: readonly Buffer[]): Promise<void> {
    for (const [i, message] of messages.entries()) {
      await new Promise<void>((resolve, reject) => {
        this.#udp?.send(message, (error) => (error ? reject(error) : resolve()));
      });
      if (i % BURST === BURST - 1) await sleep(BREATH_MS);
    }
  }

  async #sendTcp(messages: readonly Buffer[]): Promise<void> {
    if (this.#tcp === undefined || this.#tcp.destroyed) {
      if (Date.now() < this.#retryMs) throw fail('TG_IPFIX_CONNECT', this.#away('it is away'));
      this.#retryMs = Date.now() + RETRY_MS;
      await this.#connect();
      // A new session begins with templates and counts from nothing; these messages belong to the old one.
      this.#encoder.restart();
      this.#templatesMs = Number.NEGATIVE_INFINITY;
      throw fail('TG_IPFIX_CONNECT', this.#away('it was away and is back'));
    }
    for (const message of messages) if (!this.#tcp.write(message)) await once(this.#tcp, 'drain');
  }

  #away = (reason: string) => ({ collector: this.#config.collector, reason });

  async #connect(): Promise<void> {
    const socket = createConnection({ host: this.#host, port: this.#port });
    socket.on('error', () => {});
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), CONNECT_MS);
    try {
      await Promise.race([
        once(socket, 'connect'),
        once(socket, 'close').then(() => Promise.reject(new Error('no connection'))),
      ]);
    } catch (error) {
      throw fail('TG_IPFIX_CONNECT', this.#away(messageOf(error)), error);
    } finally {
      clearTimeout(timer);
    }
    this.#tcp = socket;
  }
}
