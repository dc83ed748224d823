import type { ActuationPlan, JsonValue } from './actuator.js';
import { ipTool, type LineTool, nftTool } from './line-tool.js';
import type { ActuatedLink, EndpointsOf } from './link.js';
import {
  chooseLine,
  MARK_MASK,
  markOf,
  matchesOf,
  type Steering,
  tableLines,
  weightsIn,
  weightsLine,
} from './route-commands.js';
import { type LinkWeights, weightChanges } from './shares.js';
import { StepActuator } from './step-actuator.js';

export interface RouteOptions {
  readonly links: readonly ActuatedLink[];
  readonly endpointsOf: EndpointsOf;
  readonly netns?: string;
  /** What choosing a link means for a workload. Default: `way-out` for all. */
  readonly steeringOf?: (workloadId: number) => Steering;
  /** First routing table (and rule preference) of ours; one a link. Default 7100. */
  readonly firstTable?: number;
  readonly now?: () => number;
}

/**
 * Steers new flows of a workload to links by weight, with the kernel's own means: nf_tables draws a link for each
 * new flow and keeps it in the conntrack mark, a policy rule per link sends the mark to that link's routing table.
 * Flows in progress stay where they are; a link that goes down loses its route, and the rule falls through to the
 * main table: it is drained at once.
 *
 * Setting = workload id, value = `{linkId: thousandths}`, `null` = the main routing table decides. A TCP flow whose
 * SYN was not seen, because it is older than the steering, stays on the main table's route.
 */
export class RouteActuator extends StepActuator {
  readonly name = 'route';
  readonly #options: RouteOptions;
  readonly #nft: LineTool;
  readonly #ip: Readonly<Record<'-4' | '-6', LineTool>>;
  readonly #weights = new Map<number, LinkWeights>();
  #ready = false;

  constructor(options: RouteOptions) {
    super(options.now);
    this.#options = options;
    this.#nft = nftTool(options.netns);
    this.#ip = { '-4': ipTool('-4', options.netns), '-6': ipTool('-6', options.netns) };
  }

  override async close(): Promise<void> {
    await Promise.all([this.#nft.close(), this.#ip['-4'].close(), this.#ip['-6'].close()]);
  }

  protected override async propose(plan: ActuationPlan) {
    return weightChanges(plan, this.#options.links, this.#options.endpointsOf);
  }

  protected override async read(target: string): Promise<JsonValue> {
    await this.#prepare();
    return this.#weights.get(Number(target)) ?? null;
  }

  protected override async write(target: string, value: JsonValue): Promise<void> {
    await this.#prepare();
    const workloadId = Number(target);
    const before = this.#weights.get(workloadId);
    const chain = `w${workloadId}`;
    // One line is one transaction: at no moment is a flow without a choice.
    let line: string;
    if (value === null) {
      if (before === undefined) return;
      this.#weights.delete(workloadId);
      line = `${this.#chooseAll()}; delete chain inet tidegate ${chain}`;
    } else {
      const weights = value as LinkWeights;
      this.#weights.set(workloadId, weights);
      line = weightsLine(workloadId, weights, this.#options.links, this.#steeringOf(workloadId));
      if (before === undefined) line = `add chain inet tidegate ${chain}; ${line}; ${this.#chooseAll()}`;
    }
    try {
      await this.#nft.run([line]);
    } catch (error) {
      if (before === undefined) this.#weights.delete(workloadId);
      else this.#weights.set(workloadId, before);
      throw error;
    }
  }

  /**
   * Gives links that came back their route again; a link that is down keeps none, its flows follow the main table.
   * Call it when a link changes state.
   */
  async refresh(): Promise<void> {
    const { links, firstTable = 7100 } = this.#options;
    for (const [index, link] of links.entries())
      for (const family of familiesOf(link)) {
        const hop = family === '-6' ? link.nextHopIPv6 : link.nextHopIPv4;
        const table = firstTable + index;
        // Refused while the link is down, which is the state that is wanted then.
        await this.#ip[family]
          .run([`route replace default via ${hop} dev ${link.interfaceName} table ${table}`])
          .catch(() => undefined);
      }
  }

  /** Removes every rule, route and table of ours; flows follow the main table again. */
  async clear(): Promise<void> {
    await this.#nft.run(['add table inet tidegate; delete table inet tidegate']);
    this.#weights.clear();
    this.#ready = false;
    const { links, firstTable = 7100 } = this.#options;
    for (const [index, link] of links.entries())
      for (const family of familiesOf(link)) {
        // Absent ones answer with an error each, which is what we want to reach.
        await this.#ip[family].run([`rule del pref ${firstTable + index}`]).catch(() => undefined);
        await this.#ip[family].run([`route flush table ${firstTable + index}`]).catch(() => undefined);
      }
  }

  #chooseAll(): string {
    const rules = [...this.#weights.keys()].flatMap((workloadId) =>
      matchesOf(this.#options.endpointsOf(workloadId)).map((match) => chooseLine(match, workloadId)),
    );
    return ['flush chain inet tidegate choose', ...rules].join('; ');
  }

  /** Sets up marks, rules and routing tables once, and takes over what an earlier process left. */
  async #prepare(): Promise<void> {
    if (this.#ready) return;
    const { links, firstTable = 7100 } = this.#options;
    await this.refresh();
    for (const [index, link] of links.entries())
      for (const family of familiesOf(link)) {
        const table = firstTable + index;
        await this.#ip[family].run([`rule del pref ${table}`]).catch(() => undefined);
        await this.#ip[family].run([
          `rule add pref ${table} fwmark ${markOf(index)}/${MARK_MASK} lookup ${table}`,
        ]);
      }
    const found = await this.#nft.run(['list tables inet']);
    if (found.includes('table inet tidegate')) await this.#adopt();
    else {
      const outside = links.filter((link) => link.network !== 'private').map((link) => link.interfaceName);
      await this.#nft.run([tableLines(outside)]);
    }
    this.#ready = true;
  }

  /** Reads the weights that are in force from the kernel. */
  async #adopt(): Promise<void> {
    const listing = await this.#nft.run(['list table inet tidegate']);
    for (const [, id, body = ''] of listing.matchAll(/chain w(\d+) \{([^}]*\}?[^}]*)\}/g))
      this.#weights.set(Number(id), weightsIn(body, this.#options.links));
  }

  #steeringOf(workloadId: number): Steering {
    return this.#options.steeringOf?.(workloadId) ?? 'way-out';
  }
}

const familiesOf = (link: ActuatedLink): ('-4' | '-6')[] => [
  ...(link.nextHopIPv4 === undefined ? [] : ['-4' as const]),
  ...(link.nextHopIPv6 === undefined ? [] : ['-6' as const]),
];
