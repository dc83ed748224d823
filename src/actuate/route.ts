import type { ActuationPlan, Change, DesiredAllocation, JsonValue, Refusal } from './actuator.js';
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

/** Weights are whole thousandths. */
const PARTS = 1000;

export type LinkWeights = Readonly<Record<string, number>>;

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
    const byWorkload = new Map<number, DesiredAllocation[]>();
    for (const a of plan.allocations)
      if (a.resource === 'bandwidth' && a.share !== undefined)
        byWorkload.set(a.workloadId, [...(byWorkload.get(a.workloadId) ?? []), a]);
    const changes: Change[] = [];
    const refused: Refusal[] = [];
    for (const [workloadId, allocations] of byWorkload) {
      const reason = this.#reasonAgainst(workloadId, allocations);
      if (reason !== undefined) {
        refused.push(...allocations.map((allocation) => ({ allocation, reason })));
        continue;
      }
      const weights = toThousandths(allocations);
      const words = Object.entries(weights).map(([link, parts]) => `${parts / 10} % by ${link}`);
      changes.push({
        action: 'weights',
        target: String(workloadId),
        after: weights,
        words: `${allocations[0]!.workloadName}: new flows ${words.join(', ')}`,
      });
    }
    return { changes, refused };
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

  #reasonAgainst(workloadId: number, allocations: readonly DesiredAllocation[]): string | undefined {
    const unknown = allocations.find((a) => !this.#options.links.some((link) => link.linkId === a.target));
    if (unknown) return `there is no link "${unknown.target}"`;
    if (new Set(allocations.map((a) => a.target)).size < allocations.length) return 'a link is named twice';
    const bad = allocations.find((a) => !((a.share ?? -1) >= 0 && (a.share ?? 2) <= 1));
    if (bad) return `a share of ${bad.share} is not between 0 and 1`;
    const sum = allocations.reduce((total, a) => total + (a.share ?? 0), 0);
    if (Math.abs(sum - 1) > 0.001) return `the shares sum to ${sum}, not to 1`;
    if (this.#options.endpointsOf(workloadId).length === 0) return 'no endpoint of the workload is known';
    return undefined;
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

/** Shares as whole thousandths that sum to 1000 (largest remainder); links without any are left out. */
export function toThousandths(
  allocations: readonly Pick<DesiredAllocation, 'target' | 'share'>[],
): Record<string, number> {
  const exact = allocations.map((a) => ({ target: a.target, parts: (a.share ?? 0) * PARTS }));
  const floors = exact.map((e) => ({ ...e, whole: Math.floor(e.parts + 1e-9) }));
  let left = PARTS - floors.reduce((sum, e) => sum + e.whole, 0);
  for (const e of [...floors].sort((x, y) => y.parts - y.whole - (x.parts - x.whole))) {
    if (left <= 0) break;
    e.whole += 1;
    left -= 1;
  }
  return Object.fromEntries(
    floors
      .filter((e) => e.whole > 0)
      .sort((x, y) => (x.target < y.target ? -1 : 1))
      .map((e) => [e.target, e.whole]),
  );
}
