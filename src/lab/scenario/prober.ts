import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { workerFile } from '../../base/worker-file.js';
import { labError } from '../errors.js';

/** What a prober can be asked; ports and addresses inside its namespace. */
export type ProberQuestion =
  | { readonly ask: 'receive'; readonly host: string; readonly port: number }
  | { readonly ask: 'arrivals' }
  | {
      readonly ask: 'flow';
      readonly host: string;
      readonly port: number;
      readonly localAddress: string;
      readonly perSecond: number;
    }
  | { readonly ask: 'end-flow' }
  | { readonly ask: 'serve'; readonly host: string; readonly port: number; readonly name: string }
  | {
      readonly ask: 'chat';
      readonly host: string;
      readonly port: number;
      readonly localAddress: string;
      readonly count: number;
      readonly perSecond: number;
      readonly octets: number;
    }
  | { readonly ask: 'end-chat' }
  | { readonly ask: 'sink'; readonly host: string; readonly port: number }
  | { readonly ask: 'sunk' }
  | { readonly ask: 'pour'; readonly host: string; readonly port: number; readonly localAddress: string }
  | { readonly ask: 'end-pour' };

/** Octets that a sink took at a time of the monotonic clock. */
export type Sunk = readonly [atMs: number, octets: number];

export interface ProberAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

export interface InterfaceCounters {
  readonly rxOctets: number;
  readonly rxPackets: number;
  /** Packets that the interface itself threw away, either way. */
  readonly drops: number;
}

export interface ChatResult {
  readonly connections: number;
  readonly broken: number;
  /** Octets sent and not echoed half a second after the last one. */
  readonly unanswered: number;
  readonly servers: readonly string[];
}

/** A process that sends and receives in a namespace of the lab. */
export class Prober {
  readonly #child: ChildProcess;
  readonly #network: string;
  readonly #waiting = new Map<number, (answer: ProberAnswer) => void>();
  #next = 0;

  constructor(network: string, netns: string) {
    this.#network = network;
    this.#child = fork(workerFile(import.meta.url, './prober-host'), [], {
      execPath: 'nsenter',
      execArgv: [`--net=${netns}`, process.execPath],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true,
    });
    this.#child.on('message', (answer: ProberAnswer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    const gone = (): void => {
      for (const [id, resolve] of this.#waiting) resolve({ id, error: 'ended' });
      this.#waiting.clear();
    };
    this.#child.on('exit', gone);
    this.#child.on('error', gone);
  }

  /** @throws TG_LAB_TRAFFIC */
  ask<T = unknown>(question: ProberQuestion): Promise<T> {
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as T);
        else reject(labError('TG_LAB_TRAFFIC', { network: this.#network, reason: `failed: ${error}` }));
      });
      if (this.#child.connected) this.#child.send({ id, question });
    });
  }

  /** A counter of the namespace's kernel, e.g. `('snmp', 'Tcp', 'RetransSegs')`; proc(5), /proc/net/snmp. */
  kernelCounter(file: 'snmp' | 'netstat', group: string, name: string): number {
    const lines = readFileSync(`/proc/${this.#child.pid}/net/${file}`, 'utf8').split('\n');
    const [names = '', values = ''] = lines.filter((line) => line.startsWith(`${group}:`));
    return Number(values.split(' ')[names.split(' ').indexOf(name)] ?? Number.NaN);
  }

  /** What the namespace's interfaces counted, by name. */
  interfaceCounters(): ReadonlyMap<string, InterfaceCounters> {
    const text = readFileSync(`/proc/${this.#child.pid}/net/dev`, 'utf8');
    return new Map(
      text
        .split('\n')
        .slice(2)
        .filter((line) => line.includes(':'))
        .map((line) => {
          const [name = '', ...rest] = line.trim().split(/[:\s]+/);
          const [rxOctets = 0, rxPackets = 0, , rxDrops = 0, , , , , , , , txDrops = 0] = rest.map(Number);
          return [name, { rxOctets, rxPackets, drops: rxDrops + txDrops }] as const;
        }),
    );
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.connected) this.#child.disconnect();
    else this.#child.kill('SIGKILL');
    await gone;
  }
}
