import { BlockList, isIPv6 } from 'node:net';
import type { WorkloadRule } from '../config.js';
import { HostLabels, type Labels } from './host-labels.js';
import type { EndpointSummary } from './types.js';

const PROTOCOLS: Readonly<Record<NonNullable<WorkloadRule['protocol']>, readonly number[]>> = {
  tcp: [6],
  udp: [17],
  icmp: [1, 58],
  sctp: [132],
};

type RuledEndpoint = Pick<EndpointSummary, 'address' | 'port' | 'protocol' | 'serverName'>;
type Matcher = (endpoint: RuledEndpoint, labels: Labels) => boolean;

/** Whether a name is the wanted one, or below it where that begins with `*.`. */
function nameMatches(wanted: string, name: string | undefined): boolean {
  if (name === undefined) return false;
  const [pattern, found] = [wanted.toLowerCase(), name.replace(/\.$/, '')];
  return pattern.startsWith('*.') ? found.endsWith(pattern.slice(1)) : found === pattern;
}

function matcherOf(rule: WorkloadRule): Matcher {
  const protocols = rule.protocol === undefined ? undefined : PROTOCOLS[rule.protocol];
  let network: BlockList | undefined;
  if (rule.cidr !== undefined) {
    const [address, bits] = rule.cidr.split('/');
    network = new BlockList();
    network.addSubnet(address!, Number(bits), isIPv6(address!) ? 'ipv6' : 'ipv4');
  }
  const wanted = Object.entries(rule.labels ?? {});
  return ({ address, port, protocol, serverName }, labels) =>
    (rule.serverName === undefined || nameMatches(rule.serverName, serverName)) &&
    (rule.port === undefined || rule.port === port) &&
    (protocols === undefined || protocols.includes(protocol)) &&
    wanted.every(([key, value]) => labels[key] !== undefined && (value === '*' || value === labels[key])) &&
    (network === undefined || (address !== '' && network.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')));
}

/** The configured names, first match wins. */
export class WorkloadRules {
  readonly #hosts: HostLabels;
  readonly #rules: readonly { readonly name: string; readonly matches: Matcher }[];

  /** @param hostLabels labels of hosts by address or prefix */
  constructor(rules: readonly WorkloadRule[], hostLabels: Readonly<Record<string, Labels>> = {}) {
    this.#hosts = new HostLabels(hostLabels);
    this.#rules = rules.map((rule) => ({ name: rule.name, matches: matcherOf(rule) }));
  }

  /** The name that the rules give to an endpoint, undefined when none matches. */
  nameOf(endpoint: RuledEndpoint): string | undefined {
    const labels = this.#hosts.of(endpoint.address);
    const rule = this.#rules.find(({ matches }) => matches(endpoint, labels));
    return rule?.name.replace(/\{([^{}]+)\}/g, (whole, key: string) => labels[key] ?? whole);
  }

  /** The same for an endpoint's key (`6/443/<address>[/<server name>]`); keys of another kind have no address to go by. */
  nameOfKey(key: string): string | undefined {
    const [protocol, port, address, serverName] = key.split('/');
    if (address === undefined) return undefined;
    return this.nameOf({
      address,
      port: Number(port),
      protocol: Number(protocol),
      ...(serverName === undefined ? {} : { serverName }),
    });
  }
}
