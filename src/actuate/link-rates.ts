import { LineTool } from './line-tool.js';
import type { ActuatedLink } from './link.js';

interface IpLink {
  readonly ifname: string;
  readonly stats64?: { readonly rx: { bytes: number }; readonly tx: { bytes: number } };
}

/**
 * How much the links carry now, by the kernel's own counters of their interfaces, over one long-lived child. A link
 * whose interface is not there has no rate.
 */
export class LinkRates {
  readonly #links: readonly ActuatedLink[];
  readonly #ip: LineTool;
  readonly #now: () => number;
  #before:
    | { readonly atMs: number; readonly octets: ReadonlyMap<string, readonly [number, number]> }
    | undefined;

  /** @param now monotonic, ms */
  constructor(links: readonly ActuatedLink[], netns?: string, now: () => number = () => performance.now()) {
    this.#links = links;
    this.#now = now;
    this.#ip = new LineTool({
      command: ['ip', '-s', '-j', '-force', '-batch', '-'],
      ...(netns === undefined ? {} : { netns }),
      marker: (n) => ({
        line: `link show dev tg-mark-${n}`,
        answer: new RegExp(`Device "tg-mark-${n}" does not exist\\.\\s+Command failed -:\\d+\\s`),
      }),
      errorIn: (text) => /^.*Command failed -:\d+/m.exec(text)?.[0],
      needs: 'iproute2 with JSON output',
    });
  }

  /** Bit/s by link since the last call, the busier direction; the first call has none. @throws TG_ACTUATE_TOOL */
  async read(): Promise<ReadonlyMap<string, number>> {
    const answer = await this.#ip.run(['link show']);
    const found = JSON.parse(answer.slice(answer.indexOf('['), answer.lastIndexOf(']') + 1)) as IpLink[];
    const atMs = this.#now();
    const octets = new Map(
      this.#links.flatMap(({ linkId, interfaceName }) => {
        const counted = found.find((link) => link.ifname === interfaceName)?.stats64;
        return counted === undefined
          ? []
          : [[linkId, [counted.rx.bytes, counted.tx.bytes] as const] as const];
      }),
    );
    const before = this.#before;
    this.#before = { atMs, octets };
    if (before === undefined || atMs <= before.atMs) return new Map();
    return new Map(
      [...octets].flatMap(([linkId, [rx, tx]]) => {
        const [oldRx, oldTx] = before.octets.get(linkId) ?? [Number.NaN, Number.NaN];
        const most = Math.max(rx - oldRx, tx - oldTx);
        // An interface that was made anew counts from zero.
        return rx >= oldRx && tx >= oldTx ? [[linkId, (most * 8000) / (atMs - before.atMs)] as const] : [];
      }),
    );
  }

  close(): Promise<void> {
    return this.#ip.close();
  }
}
