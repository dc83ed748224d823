import { BlockList, isIPv6 } from 'node:net';
import { canonicalAddress } from '../../flow/address.js';

export type Labels = Readonly<Record<string, string>>;

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

/** What is known of hosts by their addresses: labels of the longest prefix come before those of shorter ones. */
export class HostLabels {
  /** Shortest prefix first. */
  readonly #prefixes: readonly { readonly network: BlockList; readonly labels: Labels }[];
  /** Single hosts: a cluster has thousands of them. */
  readonly #hosts: ReadonlyMap<string, Labels>;

  /** @param labels by address or prefix */
  constructor(labels: Readonly<Record<string, Labels>>) {
    const entries = Object.entries(labels);
    this.#hosts = new Map(
      entries.filter(([prefix]) => !prefix.includes('/')).map(([host, of]) => [canonicalAddress(host), of]),
    );
    this.#prefixes = entries
      .filter(([prefix]) => prefix.includes('/'))
      .map(([prefix, of]) => {
        const [address = '', bits] = prefix.split('/');
        const length = Number(bits);
        const network = new BlockList();
        network.addSubnet(address, length, familyOf(address));
        return { network, labels: of, length };
      })
      .sort((a, b) => a.length - b.length);
  }

  /** Labels of an address; empty when nothing is known of it. */
  of(address: string): Labels {
    if (address === '') return {};
    const family = familyOf(address);
    const found = this.#prefixes.filter(({ network }) => network.check(address, family));
    const host = this.#hosts.size === 0 ? undefined : this.#hosts.get(canonicalAddress(address));
    return Object.assign({}, ...found.map(({ labels }) => labels), host) as Labels;
  }
}
