import { formatAddress, isMappedIPv4 } from '../flow/address.js';
import { parseAddress } from '../flow/parse-address.js';
import type { NativeCapture, NativeSteerReport, NativeSteerRule, NativeSteerState } from './bpf.js';
import { explainSteering, fail } from './errors.js';

/** A way out as the datapath knows it. */
export interface SteeredLink {
  readonly linkId: string;
  readonly interfaceName: string;
  /** Path of its network namespace; absent = our own. */
  readonly netns?: string;
  readonly nextHopIPv4?: string;
  readonly nextHopIPv6?: string;
  /** What arrives by it is not on its way out. */
  readonly outside: boolean;
  /** Always by the kernel's stack, so that queueing disciplines see the packets. */
  readonly viaStack: boolean;
}

/** Flows to an endpoint and the links that they take. */
export interface SteeredRule {
  readonly workloadId: number;
  /** `placement`: requests take the link. `way-out`: what leaves for the outside does. */
  readonly steering: 'placement' | 'way-out';
  /** Flows in progress move too when the weights change. */
  readonly hard: boolean;
  readonly address: string;
  /** Of the address in its own family. */
  readonly prefixLength: number;
  /** Absent = any. */
  readonly protocol?: 'tcp' | 'udp';
  /** 0 = any. */
  readonly port: number;
  /** Whole numbers by link id; what they sum to is the whole. */
  readonly weights: Readonly<Record<string, number>>;
}

/** What a change of weights did, and when. */
export type SteerReport = NativeSteerReport;

const LINKS = 32;
const KINDS = { 'way-out': 1, placement: 2 } as const;
const PROTOCOLS = { tcp: 6, udp: 17 } as const;
const NS_PER_MS = 1e6;

/**
 * Steering in the XDP program: rules, weights and links. A change of weights moves new flows only: flows in progress
 * are pinned to their link before it takes effect. What is set survives this object, and with pinned maps the process.
 */
export class SteeringDatapath {
  readonly #native: NativeCapture;
  readonly #links = new Map<string, { readonly number: number; readonly link: SteeredLink }>();
  /** As last read: nobody but `apply` changes them while this process has the datapath. */
  #rules: SteeredRule[] | undefined;

  constructor(native: NativeCapture) {
    this.#native = native;
    for (const { number, name } of native.steerState().links)
      this.#links.set(name, { number, link: unknownLink(name) });
  }

  /**
   * Makes a link known, in service, or looks its interface up again after it changed.
   * @throws TG_CAPTURE_STEER_LINK when its interface does not exist: it is then out of service
   */
  setLink(link: SteeredLink, drained = false): void {
    const known = this.#links.get(link.linkId);
    const number = known?.number ?? this.#freeNumber();
    const octets = (text: string | undefined, family: 4 | 6): Uint8Array => {
      const bytes = text === undefined ? undefined : parseAddress(text);
      return family === 4 ? (bytes ?? new Uint8Array(16)).slice(12) : (bytes ?? new Uint8Array(16));
    };
    this.#links.set(link.linkId, { number, link });
    try {
      this.#native.steerLink({
        number,
        name: link.linkId,
        device: link.interfaceName,
        netns: link.netns ?? '',
        nextHopIPv4: octets(link.nextHopIPv4, 4),
        nextHopIPv6: octets(link.nextHopIPv6, 6),
        viaStack: link.viaStack,
        drained,
        outside: link.outside,
      });
    } catch (error) {
      throw explainSteering(error, link.linkId);
    }
  }

  /** Takes a link out of service, so that all its flows take another at once, or back into it. */
  drain(linkId: string, drained: boolean): void {
    const known = this.#links.get(linkId);
    if (known !== undefined) this.setLink(known.link, drained);
  }

  /**
   * Makes the rules exactly these.
   * @throws TG_CAPTURE_STEER_LINK for a link that is not known, TG_CAPTURE_STEER_RULE for a rule that is none or two
   *   that claim the same, TG_CAPTURE_STEER_ROOM when there are too many; then nothing has changed
   */
  async apply(rules: readonly SteeredRule[]): Promise<SteerReport> {
    const native = rules.map((rule) => this.#toNative(rule));
    const seen = new Map<string, number>();
    for (const { address, prefixLength, protocol, port, workload } of native) {
      const claim = [...address, prefixLength, protocol, port].join();
      const other = seen.get(claim);
      if (other !== undefined)
        throw fail('TG_CAPTURE_STEER_RULE', {
          rule: `${formatAddress(address)}, protocol ${protocol || 'any'}, port ${port || 'any'}`,
          reason: `workloads ${other} and ${workload} both claim it`,
        });
      seen.set(claim, workload);
    }
    this.#rules = undefined;
    try {
      const report = await this.#native.steerApply(native);
      // Now, not when the next change is waiting for it.
      this.#rules = this.#readRules();
      return report;
    } catch (error) {
      throw explainSteering(error, '');
    }
  }

  /** The rules in force. */
  rules(): SteeredRule[] {
    this.#rules ??= this.#readRules();
    return [...this.#rules];
  }

  #readRules(): SteeredRule[] {
    const names = new Map([...this.#links].map(([name, { number }]) => [number, name]));
    return this.state().rules.map((rule) => ({
      workloadId: rule.workload,
      steering: rule.kind === KINDS.placement ? 'placement' : 'way-out',
      hard: rule.hard,
      address: formatAddress(rule.address),
      prefixLength: rule.prefixLength - (isMappedIPv4(rule.address) ? 96 : 0),
      port: rule.port,
      ...(rule.protocol === 0 ? {} : { protocol: rule.protocol === PROTOCOLS.tcp ? 'tcp' : 'udp' }),
      weights: Object.fromEntries(
        [...rule.weights].flatMap((weight, number) =>
          weight === 0 ? [] : [[names.get(number) ?? `link ${number}`, weight]],
        ),
      ),
    }));
  }

  /** Forgets pins of flows that ended; how many are left. Call it every few seconds. */
  maintain(): Promise<number> {
    return this.#native.steerMaintain();
  }

  /** Says that somebody is alive: without it for `deadmanMs` the routing table decides again. 0 = steer on. */
  heartbeat(deadmanMs: number): void {
    this.#native.steerHeartbeat(deadmanMs * NS_PER_MS);
  }

  state(): NativeSteerState {
    return this.#native.steerState();
  }

  #freeNumber(): number {
    const taken = new Set([...this.#links.values()].map(({ number }) => number));
    for (let number = 1; number < LINKS; number += 1) if (!taken.has(number)) return number;
    throw fail('TG_CAPTURE_STEER_ROOM', { what: `more than ${LINKS - 1} links` });
  }

  #toNative(rule: SteeredRule): NativeSteerRule {
    const address = parseAddress(rule.address);
    const longest = address !== undefined && isMappedIPv4(address) ? 32 : 128;
    const words = `${rule.address}/${rule.prefixLength}`;
    if (address === undefined || !(rule.prefixLength >= 0 && rule.prefixLength <= longest))
      throw fail('TG_CAPTURE_STEER_RULE', { rule: words, reason: 'it is no prefix' });
    const prefixLength = rule.prefixLength + 128 - longest;
    for (let bit = prefixLength; bit < 128; bit += 1) address[bit >> 3]! &= ~(0x80 >> (bit & 7));
    if (!Number.isInteger(rule.port) || rule.port < 0 || rule.port > 65_535)
      throw fail('TG_CAPTURE_STEER_RULE', { rule: words, reason: `${rule.port} is no port` });
    const weights = new Uint32Array(LINKS);
    for (const [linkId, weight] of Object.entries(rule.weights)) {
      const known = this.#links.get(linkId);
      if (known === undefined)
        throw fail('TG_CAPTURE_STEER_LINK', { link: linkId, reason: 'it is not known' });
      if (!Number.isInteger(weight) || weight < 0 || weight > 1e6)
        throw fail('TG_CAPTURE_STEER_RULE', { rule: words, reason: `${weight} is no weight` });
      weights[known.number] = weight;
    }
    if (weights.every((weight) => weight === 0))
      throw fail('TG_CAPTURE_STEER_RULE', { rule: words, reason: 'its weights sum to nothing' });
    return {
      workload: rule.workloadId,
      kind: KINDS[rule.steering],
      hard: rule.hard,
      protocol: rule.protocol === undefined ? 0 : PROTOCOLS[rule.protocol],
      prefixLength,
      port: rule.port,
      address,
      weights,
    };
  }
}

/** A link that an earlier process left, until somebody says what it is. */
const unknownLink = (linkId: string): SteeredLink => ({
  linkId,
  interfaceName: linkId,
  outside: true,
  viaStack: false,
});
