import { BlockList, isIPv6 } from 'node:net';

export type Labels = Readonly<Record<string, string>>;

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

/** What is known of hosts by their addresses: labels of the longest prefix come before those of shorter ones. */
export class HostLabels {
  /** Shortest prefix first. */
  readonly #prefixes: readonly { readonly network: BlockList; readonly labels: Labels }[];

  /** @param labels by address or prefix */
  constructor(labels: Readonly<Record<string, Labels>>) {
    this.#prefixes = Object.entries(labels)
      .map(([prefix, of]) => {
        const [address = '', bits] = prefix.split('/');
        const family = familyOf(address);
        const length = bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits);
        const network = new BlockList();
        network.addSubnet(address, length, family);
        return { network, labels: of, length };
      })
      .sort((a, b) => a.length - b.length);
  }

  /** Labels of an address; empty when nothing is known of it. */
  of(address: string): Labels {
    if (address === '' || this.#prefixes.length === 0) return {};
    const family = familyOf(address);
    const found = this.#prefixes.filter(({ network }) => network.check(address, family));
    return Object.assign({}, ...found.map(({ labels }) => labels)) as Labels;
  }
}
