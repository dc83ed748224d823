import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { messageOf } from '../base/errors.js';
import { type InterfaceFacts, loadBpfAddon } from '../capture/bpf.js';
import { blocker, type Check, type DoctorFinding, info, ok, unknown, warning } from './finding.js';
import { outputOf, textOf } from './try.js';

export interface CheckedInterface {
  readonly name: string;
  /** Path of its network namespace; absent = this process's. */
  readonly netns?: string | undefined;
}

type Found = Omit<DoctorFinding, 'id'>;

/** A page less XDP's headroom and the kernel's skb_shared_info: what fits natively without fragments. */
const NATIVE_MTU = 3498;

const here = (i: CheckedInterface): boolean => i.netns === undefined;

const elsewhere = (i: CheckedInterface): Found =>
  info(`${i.name} is in another network namespace: its queues and offloads are not looked at`);

/** Runs a look at every interface; none to look at is said once. */
const each =
  (interfaces: readonly CheckedInterface[], look: (i: CheckedInterface) => Promise<Found>) =>
  async (): Promise<Found[]> => {
    if (interfaces.length === 0)
      return [info('no interface is named', 'name them with --interface or --config')];
    const found: Found[] = [];
    for (const i of interfaces) found.push(await look(i));
    return found;
  };

function factsOf(i: CheckedInterface): InterfaceFacts | Found {
  try {
    return loadBpfAddon().probeInterface(i.name, i.netns ?? '');
  } catch (error) {
    return blocker(`${i.name}: ${messageOf(error)}`, 'see `ip link`; name an interface that exists');
  }
}

const driver = async (i: CheckedInterface): Promise<Found> => {
  const facts = factsOf(i);
  if ('result' in facts) return facts;
  const name = facts.driver === '' ? 'no driver name' : `driver ${facts.driver}`;
  if (!facts.up) return warning(`${i.name} (${name}) is down`, `ip link set ${i.name} up`);
  return ok(`${i.name}: ${name}, MTU ${facts.mtu}, up`);
};

const mtu = async (i: CheckedInterface): Promise<Found> => {
  const facts = factsOf(i);
  if ('result' in facts) return unknown(`${i.name}: not found`, 'see N-DRV');
  return facts.mtu <= NATIVE_MTU
    ? ok(`${i.name}: MTU ${facts.mtu} fits native XDP`)
    : warning(
        `${i.name}: MTU ${facts.mtu} is above ${NATIVE_MTU}; drivers without XDP fragments refuse native mode`,
        `ip link set ${i.name} mtu ${NATIVE_MTU}, or capture.mode: generic`,
      );
};

const programs = async (i: CheckedInterface): Promise<Found> => {
  const facts = factsOf(i);
  if ('result' in facts) return unknown(`${i.name}: not found`, 'see N-DRV');
  if (facts.xdp === 'none') return ok(`${i.name}: no XDP program`);
  const shown = await outputOf('bpftool', '-j', 'prog', 'show', 'id', String(facts.programId));
  const name = shown === undefined ? '' : ((JSON.parse(shown) as { name?: string }).name ?? '');
  const of = `program ${facts.programId}${name === '' ? '' : ` (${name})`}`;
  return name.startsWith('gateway')
    ? info(`${i.name}: a gateway meters it already (${of}, ${facts.xdp})`)
    : warning(
        `${i.name}: ${of} is attached in ${facts.xdp} mode`,
        `stop its owner, or \`ip link set ${i.name} xdp off\``,
      );
};

const queues = async (i: CheckedInterface): Promise<Found> => {
  if (!here(i)) return elsewhere(i);
  const directory = `/sys/class/net/${i.name}/queues`;
  if (!existsSync(directory)) return unknown(`${i.name}: no queues to see`, 'see N-DRV');
  const rx = readdirSync(directory).filter((name) => name.startsWith('rx-')).length;
  const cpus = availableParallelism();
  const words = `${i.name}: ${rx} receive queues, ${cpus} CPUs`;
  const most = Number(/Combined:\s+(\d+)/.exec((await outputOf('ethtool', '-l', i.name)) ?? '')?.[1] ?? rx);
  return rx >= Math.min(cpus, most)
    ? ok(words)
    : warning(
        `${words}: one CPU may be the bottleneck`,
        `ethtool -L ${i.name} combined ${Math.min(cpus, most)}`,
      );
};

const symmetry = async (i: CheckedInterface): Promise<Found> => {
  if (!here(i)) return elsewhere(i);
  const text = await outputOf('ethtool', '-x', i.name);
  if (text === undefined)
    return info(`${i.name}: its hash cannot be read; both directions merge in user space anyway`);
  return /symmetric-xor: on/.test(text)
    ? ok(`${i.name}: both directions of a flow come to one CPU`)
    : info(`${i.name}: directions of a flow may come to two CPUs; they are merged in user space`);
};

const offloads = async (i: CheckedInterface): Promise<Found> => {
  if (!here(i)) return elsewhere(i);
  const text = await outputOf('ethtool', '-k', i.name);
  if (text === undefined) return unknown(`${i.name}: offloads cannot be read`, 'install ethtool');
  const on = (feature: string): boolean => new RegExp(`^${feature}: on`, 'm').test(text);
  if (on('large-receive-offload'))
    return warning(`${i.name}: LRO merges packets before XDP sees them`, `ethtool -K ${i.name} lro off`);
  if (on('rx-vlan-offload'))
    return warning(`${i.name}: the NIC takes VLAN tags out of packets`, `ethtool -K ${i.name} rxvlan off`);
  return ok(`${i.name}: no offload hides packets or tags`);
};

const interrupts = async (i: CheckedInterface): Promise<Found> => {
  if (!here(i)) return elsewhere(i);
  const directory = `/sys/class/net/${i.name}/device/msi_irqs`;
  if (!existsSync(directory)) return info(`${i.name}: has no interrupts of its own (virtual)`);
  const irqs = readdirSync(directory);
  const cpus = new Set(irqs.map((irq) => textOf(`/proc/irq/${irq}/effective_affinity_list`)?.trim() ?? '?'));
  const node = textOf(`/sys/class/net/${i.name}/device/numa_node`)?.trim() ?? '-1';
  const words = `${i.name}: ${irqs.length} interrupts on CPUs ${[...cpus].join(' ')}, NUMA node ${node}`;
  return irqs.length > 2 && cpus.size === 1
    ? warning(
        `${words}: one CPU takes all of them`,
        'spread /proc/irq/*/smp_affinity_list, or start irqbalance',
      )
    : ok(words);
};

const qdisc = async (i: CheckedInterface): Promise<Found> => {
  if (!here(i)) return elsewhere(i);
  const text = await outputOf('tc', '-j', 'qdisc', 'show', 'dev', i.name);
  if (text === undefined) return unknown(`${i.name}: tc says nothing`, 'install iproute2');
  const roots = (JSON.parse(text) as { kind?: string; root?: boolean; handle?: string }[]).filter(
    (q) => q.root,
  );
  const own = roots.find(
    (q) => !['noqueue', 'fq_codel', 'pfifo_fast', 'mq', 'fq', 'pfifo'].includes(q.kind ?? ''),
  );
  return own === undefined
    ? ok(`${i.name}: its root qdisc (${roots[0]?.kind ?? 'none'}) is the system's own`)
    : warning(
        `${i.name}: somebody configured the root qdisc ${own.kind} ${own.handle ?? ''}`,
        'limits are refused there unless actuate.replaceQdisc allows to replace it',
      );
};

/** What each interface is fit for. */
export const interfaceChecks = (interfaces: readonly CheckedInterface[]): Check[] => [
  { id: 'N-DRV', words: 'interface and driver', run: each(interfaces, driver) },
  { id: 'N-MTU', words: 'MTU against native XDP', run: each(interfaces, mtu) },
  { id: 'N-CONF', words: 'XDP programs already there', run: each(interfaces, programs) },
  { id: 'N-RSS', words: 'receive queues against CPUs', run: each(interfaces, queues) },
  { id: 'N-SYM', words: 'symmetric hashing', run: each(interfaces, symmetry) },
  { id: 'N-OFF', words: 'offloads that hide packets', run: each(interfaces, offloads) },
  { id: 'N-IRQ', words: 'interrupt affinity and NUMA', run: each(interfaces, interrupts) },
  { id: 'A-TC', words: 'queueing discipline of the way out', run: each(interfaces, qdisc) },
];
