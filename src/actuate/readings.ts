import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { GuardReading } from './guard.js';
import { LineTool } from './line-tool.js';
import type { ActuatedLink } from './link.js';

export interface ProbeSettings {
  readonly name: string;
  readonly url: string;
  /** Default 2 s. */
  readonly timeoutMs?: number;
}

export interface LiveReadingsOptions {
  readonly links: readonly ActuatedLink[];
  readonly netns?: string;
  /** Round trip of the TCP handshakes of the last seconds by link id, from the flow records. */
  readonly handshakeRttMs?: () => Promise<ReadonlyMap<string, number>>;
  /** Packets so far that steering could not send by any link of their rule. */
  readonly strandedPackets?: () => number;
  readonly probes?: readonly ProbeSettings[];
  /** Monotonic, ms. */
  readonly now?: () => number;
  readonly logger?: Logger;
}

/** What an interface and its root qdisc have counted so far. */
export interface LinkCounts {
  readonly octets: number;
  readonly packets: number;
  /** Dropped or failed by the interface. */
  readonly lost: number;
  /** Dropped by its queues. */
  readonly queueDrops: number;
}

interface IpLink {
  readonly stats64?: {
    readonly tx: { bytes: number; packets: number; errors: number; dropped: number; carrier_errors?: number };
  };
}

/** The first JSON value in what a tool answered. */
function jsonIn<T>(answer: string): T[] {
  const start = answer.indexOf('[');
  const end = answer.lastIndexOf(']');
  if (start < 0 || end < start) return [];
  return JSON.parse(answer.slice(start, end + 1)) as T[];
}

/** What a link did between two counts, as the guard judges it. */
export function readingBetween(
  of: string,
  before: LinkCounts,
  after: LinkCounts,
  seconds: number,
  capacityBps?: number,
): GuardReading {
  const packets = after.packets - before.packets;
  const lost = after.lost - before.lost;
  // An interface that was made anew counts from zero: nothing is known of the interval.
  if (packets < 0 || lost < 0 || after.octets < before.octets || !(seconds > 0)) return { of };
  return {
    of,
    lossRatio: packets + lost > 0 ? lost / (packets + lost) : 0,
    queueDrops: Math.max(0, after.queueDrops - before.queueDrops),
    ...(capacityBps === undefined
      ? {}
      : { utilisation: ((after.octets - before.octets) * 8) / seconds / capacityBps }),
  };
}

/**
 * What the guard looks at, live: what interfaces and queues of the links drop and how full the links are (from the
 * kernel's own counters, over one long-lived child each), handshake round trips, and HTTP probes. What cannot be read
 * is left out of the readings, and told once.
 */
export class LiveReadings {
  readonly #options: LiveReadingsOptions;
  readonly #ip: LineTool;
  readonly #tc: LineTool;
  readonly #now: () => number;
  readonly #before = new Map<string, LinkCounts>();
  readonly #told = new Set<string>();
  #beforeMs = 0;
  #stranded: number | undefined;

  constructor(options: LiveReadingsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const inside = options.netns === undefined ? {} : { netns: options.netns };
    const tool = (program: string, line: (n: number) => string, answer: (n: number) => RegExp): LineTool =>
      new LineTool({
        command: [program, '-s', '-j', '-force', '-batch', '-'],
        ...inside,
        marker: (n) => ({ line: line(n), answer: answer(n) }),
        errorIn: (text) => /^.*Command failed -:\d+/m.exec(text)?.[0],
        needs: 'iproute2 with JSON output',
      });
    this.#ip = tool(
      'ip',
      (n) => `link show dev tg-mark-${n}`,
      (n) => new RegExp(`Device "tg-mark-${n}" does not exist\\.\\s+Command failed -:\\d+\\s`),
    );
    this.#tc = tool(
      'tc',
      (n) => `qdisc show dev tg-mark-${n}`,
      (n) => new RegExp(`Cannot find device "tg-mark-${n}"\\s+Command failed -:\\d+\\s`),
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.#ip.close(), this.#tc.close()]);
  }

  /** One look. Rates and ratios are over the time since the last one; the first has none. */
  async read(): Promise<readonly GuardReading[]> {
    const { links, handshakeRttMs, probes = [] } = this.#options;
    const nowMs = this.#now();
    const seconds = (nowMs - this.#beforeMs) / 1000;
    this.#beforeMs = nowMs;
    const [rtts, answers] = await Promise.all([
      this.#orNothing('handshakes', async () => handshakeRttMs?.()),
      Promise.all(probes.map((probe) => this.#probe(probe))),
    ]);
    const readings: GuardReading[] = [...answers];
    for (const link of links) {
      const counts = await this.#orNothing(`interface ${link.interfaceName}`, () =>
        this.#count(link.interfaceName),
      );
      const before = this.#before.get(link.linkId);
      const rttMs = rtts?.get(link.linkId);
      if (counts === undefined) this.#before.delete(link.linkId);
      else this.#before.set(link.linkId, counts);
      const reading =
        counts !== undefined && before !== undefined
          ? readingBetween(link.linkId, before, counts, seconds, link.capacityBps)
          : { of: link.linkId };
      readings.push(rttMs === undefined ? reading : { ...reading, rttMs });
    }
    return [...readings, ...this.#steering()];
  }

  async #count(device: string): Promise<LinkCounts> {
    const [link] = jsonIn<IpLink>(await this.#ip.run([`link show dev ${device}`]));
    const tx = link?.stats64?.tx;
    if (tx === undefined) throw new RangeError('ip shows no counters');
    const qdiscs = jsonIn<{ drops?: number; root?: boolean }>(
      await this.#tc.run([`qdisc show dev ${device}`]),
    );
    return {
      octets: tx.bytes,
      packets: tx.packets,
      lost: tx.errors + tx.dropped,
      queueDrops: qdiscs.reduce((sum, qdisc) => sum + (qdisc.root ? (qdisc.drops ?? 0) : 0), 0),
    };
  }

  #steering(): GuardReading[] {
    const stranded = this.#options.strandedPackets?.();
    const before = this.#stranded;
    this.#stranded = stranded;
    return stranded === undefined || before === undefined
      ? []
      : [{ of: 'steering', queueDrops: Math.max(0, stranded - before) }];
  }

  async #probe({ name, url, timeoutMs = 2000 }: ProbeSettings): Promise<GuardReading> {
    const began = this.#now();
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'manual' });
      await response.body?.cancel();
      return { of: name, probeOk: response.ok, rttMs: this.#now() - began };
    } catch {
      return { of: name, probeOk: false };
    }
  }

  async #orNothing<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await read();
      this.#told.delete(what);
      return value;
    } catch (error) {
      if (!this.#told.has(what))
        this.#options.logger?.warn({ reason: messageOf(error) }, `guard: ${what} cannot be read`);
      this.#told.add(what);
      return undefined;
    }
  }
}
