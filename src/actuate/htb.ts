import type { ActuationPlan, Change, JsonValue, Refusal } from './actuator.js';
import { actuateError } from './errors.js';
import { classifierLines, classLine, quantiseRate } from './htb-commands.js';
import { type LineTool, tcTool } from './line-tool.js';
import type { ActuatedLink, EndpointsOf } from './link.js';
import { StepActuator } from './step-actuator.js';

export interface HtbOptions {
  readonly links: readonly ActuatedLink[];
  readonly endpointsOf: EndpointsOf;
  /** Path of the network namespace that has the interfaces. */
  readonly netns?: string;
  /** Replace a root qdisc that somebody configured. Default false: it is left alone and the change is refused. */
  readonly replaceQdisc?: boolean;
  readonly now?: () => number;
}

/** Our qdisc's handle: what has another one is not ours. */
const HANDLE = '71de:';
/** Class minor = workload id + this, and the filters' preference: 16 bits. */
const FIRST_MINOR = 0x10;
const MAX_WORKLOAD = 65_000;

interface QdiscFacts {
  readonly kind: string;
  readonly handle: string;
  readonly root?: boolean;
}

/**
 * Ceilings per workload and link as HTB classes on what leaves the gateway by a link. Traffic of workloads without
 * a ceiling passes unshaped. Setting = `<linkId>/<workloadId>`, value = ceiling in bit/s (whole kbit below 1 Gbit/s,
 * whole Mbit above: what tc prints exactly), `null` = no ceiling.
 *
 * Only a kernel-default root qdisc (handle 0:) is ever replaced, unless `replaceQdisc` says otherwise; the HTB qdisc
 * goes with its last class, and the kernel's default comes back.
 */
export class HtbActuator extends StepActuator {
  readonly name = 'htb';
  readonly #options: HtbOptions;
  readonly #tc: LineTool;

  constructor(options: HtbOptions) {
    super(options.now);
    this.#options = options;
    this.#tc = tcTool(options.netns);
  }

  override async close(): Promise<void> {
    await this.#tc.close();
  }

  protected override async propose(plan: ActuationPlan) {
    const changes: Change[] = [];
    const refused: Refusal[] = [];
    for (const allocation of plan.allocations) {
      const { workloadId, workloadName, resource, target, rateBps } = allocation;
      if (resource !== 'bandwidth' || rateBps === undefined) continue;
      const refuse = (reason: string): void => {
        refused.push({ allocation, reason });
      };
      if (!this.#options.links.some((link) => link.linkId === target)) refuse(`there is no link "${target}"`);
      else if (!(rateBps >= 8000)) refuse(`a ceiling of ${rateBps} bit/s is below 8 kbit/s`);
      else if (workloadId > MAX_WORKLOAD) refuse(`workload ids above ${MAX_WORKLOAD} have no class number`);
      else if (this.#options.endpointsOf(workloadId).length === 0)
        refuse('no endpoint of the workload is known');
      else
        changes.push({
          action: 'ceiling',
          target: `${target}/${workloadId}`,
          after: quantiseRate(rateBps),
          words: `${workloadName}: at most ${quantiseRate(rateBps)} bit/s out by ${target}`,
        });
    }
    return { changes, refused };
  }

  protected override async read(target: string): Promise<JsonValue> {
    const { device, minor } = this.#locate(target);
    const shown = await this.#tc.run([`class show dev ${device} classid ${HANDLE}${minor.toString(16)}`]);
    const ceiling = / ceil (\d+)([KMGT]?)bit /.exec(shown);
    if (ceiling === null) return null;
    return (
      Number(ceiling[1]) *
      { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 }[ceiling[2] as '' | 'K' | 'M' | 'G' | 'T']
    );
  }

  protected override async write(target: string, value: JsonValue): Promise<void> {
    const { device, minor, workloadId } = this.#locate(target);
    if (value === null) await this.#remove(device, minor);
    else if ((await this.read(target)) === null) await this.#add(device, minor, workloadId, Number(value));
    else await this.#tc.run([`class change ${classLine(device, HANDLE, minor, Number(value))}`]);
  }

  async #add(device: string, minor: number, workloadId: number, ceilingBps: number): Promise<void> {
    const root = await this.#root(device);
    const setUp: string[] = [];
    if (root?.handle !== HANDLE) {
      if (root !== undefined && root.handle !== '0:' && !this.#options.replaceQdisc)
        throw actuateError('TG_ACTUATE_QDISC', { interface: device, kind: root.kind, handle: root.handle });
      // `default 0`: what no filter takes is sent at once, unshaped.
      setUp.push(`qdisc replace dev ${device} root handle ${HANDLE} htb default 0`);
    }
    const endpoints = this.#options.endpointsOf(workloadId);
    try {
      await this.#tc.run([
        ...setUp,
        `class add ${classLine(device, HANDLE, minor, ceilingBps)}`,
        ...classifierLines(device, HANDLE, minor, endpoints),
      ]);
    } catch (error) {
      await this.#remove(device, minor).catch(() => undefined); // the first error is the one to tell
      throw error;
    }
  }

  async #remove(device: string, minor: number): Promise<void> {
    if ((await this.#root(device))?.handle !== HANDLE) return;
    const others = (await this.#tc.run([`class show dev ${device}`]))
      .split('\n')
      .filter((line) => line.startsWith('class htb') && !line.includes(` ${HANDLE}${minor.toString(16)} `));
    if (others.length === 0) {
      await this.#tc.run([`qdisc del dev ${device} root`]);
      return;
    }
    const filters = await this.#tc.run([`filter show dev ${device} parent ${HANDLE}`]);
    const classified = filters.includes(`"pref":${minor},`);
    const id = `${HANDLE}${minor.toString(16)}`;
    const present = (await this.#tc.run([`class show dev ${device} classid ${id}`])).includes(id);
    await this.#tc.run([
      ...(classified ? [`filter del dev ${device} parent ${HANDLE} pref ${minor}`] : []),
      ...(present ? [`class del dev ${device} classid ${id}`] : []),
    ]);
  }

  async #root(device: string): Promise<QdiscFacts | undefined> {
    const shown = await this.#tc.run([`qdisc show dev ${device}`]);
    const start = shown.indexOf('[');
    const qdiscs = start < 0 ? [] : (JSON.parse(shown.slice(start)) as QdiscFacts[]);
    return qdiscs.find((qdisc) => qdisc.root);
  }

  #locate(target: string): { device: string; minor: number; workloadId: number } {
    const [linkId, id] = [
      target.slice(0, target.lastIndexOf('/')),
      target.slice(target.lastIndexOf('/') + 1),
    ];
    const link = this.#options.links.find((candidate) => candidate.linkId === linkId);
    const workloadId = Number(id);
    if (link === undefined || !Number.isInteger(workloadId))
      throw actuateError('TG_ACTUATE_RULE', { rule: target, reason: 'it names no link and workload' });
    return { device: link.interfaceName, minor: FIRST_MINOR + workloadId, workloadId };
  }
}
