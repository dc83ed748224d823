import { BlockList, isIPv6 } from 'node:net';
import type { WorkloadRule } from '../config.js';
import type { EndpointSummary } from './types.js';

const PROTOCOLS: Readonly<Record<NonNullable<WorkloadRule['protocol']>, readonly number[]>> = {
  tcp: [6],
  udp: [17],
  icmp: [1, 58],
  sctp: [132],
};

type Matcher = (endpoint: Pick<EndpointSummary, 'address' | 'port' | 'protocol'>) => boolean;

function matcherOf(rule: WorkloadRule): Matcher {
  const protocols = rule.protocol === undefined ? undefined : PROTOCOLS[rule.protocol];
  let network: BlockList | undefined;
  if (rule.cidr !== undefined) {
    const [address, bits] = rule.cidr.split('/');
    network = new BlockList();
    network.addSubnet(address!, Number(bits), isIPv6(address!) ? 'ipv6' : 'ipv4');
  }
  return ({ address, port, protocol }) =>
    (rule.port === undefined || rule.port === port) &&
    (protocols === undefined || protocols.includes(protocol)) &&
    (network === undefined || (address !== '' && network.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')));
}

/** The configured names, first match wins. */
export class WorkloadRules {
  readonly #rules: readonly { readonly name: string; readonly matches: Matcher }[];

  constructor(rules: readonly WorkloadRule[]) {
    this.#rules = rules.map((rule) => ({ name: rule.name, matches: matcherOf(rule) }));
  }

  /** The name that the rules give to an endpoint, undefined when none matches. */
  nameOf(endpoint: Pick<EndpointSummary, 'address' | 'port' | 'protocol'>): string | undefined {
    return this.#rules.find((rule) => rule.matches(endpoint))?.name;
  }
}
