import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { messageOf } from '../base/errors.js';
import { type InterfaceFacts, loadBpfAddon } from '../capture/bpf.js';
import { blocker, type Check, type DoctorFinding, info, ok, unknown, warning } from './finding.js';
import type { Trial } from './trial.js';
import { outputOf, textOf } from './try.js';

export interface CheckedInterface {
  readonly name: string;
  /** Path of its network namespace; absent = this process's. */
  readonly netns?: string | undefined;
}

type Found = Omit<DoctorFinding, 'id'>;

/** A page less XDP's headroom and the kernel's skb_shared_info: what fits natively without fragments. */
const NATIVE_MTU = 3498;

/** NETDEV_XDP_ACT_BASIC and _RX_SG of linux/netdev.h. */
const XDP_BASIC = 1;
const XDP_FRAGMENTS = 32;

/** What a tool says of an interface, asked in its namespace. */
const said = (i: CheckedInterface, ...command: [string, ...string[]]): Promise<string | undefined> =>
  i.netns === undefined ? outputOf(...command) : outputOf('nsenter', `--net=${i.netns}`, ...command);

/** sysfs shows the interfaces of one namespace only. */
const elsewhere = (i: CheckedInterface): Found =>
  info(`${i.name} is in another network namespace, where sysfs does not show it`);

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
  if (facts.mtu <= NATIVE_MTU) return ok(`${i.name}: MTU ${facts.mtu} fits native XDP`);
  return facts.xdpFeatures !== null && (facts.xdpFeatures & XDP_FRAGMENTS) !== 0
    ? ok(`${i.name}: MTU ${facts.mtu}; its driver takes XDP fragments`)
    : warning(
        `${i.name}: MTU ${facts.mtu} is above ${NATIVE_MTU}; drivers without XDP fragments refuse native mode`,
        `ip link set ${i.name} mtu ${NATIVE_MTU}, or capture.mode: generic`,
      );
};

const native = async (i: CheckedInterface): Promise<Found> => {
  const facts = factsOf(i);
  if ('result' in facts) return unknown(`${i.name}: not found`, 'see N-DRV');
  const { xdpFeatures, driver: name } = facts;
  if (xdpFeatures === null)
    return unknown(`${i.name}: this kernel does not say what its driver can do`, 'Linux 6.3 or newer does');
  return (xdpFeatures & XDP_BASIC) !== 0
    ? ok(
        `${i.name}: its driver has native XDP${(xdpFeatures & XDP_FRAGMENTS) !== 0 ? ', with fragments' : ''}`,
      )
    : warning(
        `${i.name}: its driver (${name === '' ? 'unnamed' : name}) has no native XDP; every packet will cost several times more`,
        'use a NIC whose driver has it, or accept capture.mode: generic',
      );
};

/** Programs of tc and tcx beside ours; they come after XDP and may drop or redirect what was metered. */
async function neighbours(i: CheckedInterface): Promise<string> {
  const text = await said(i, 'bpftool', '-j', 'net', 'show', 'dev', i.name);
  const [shown] =
    text === undefined ? [] : (JSON.parse(text) as { tc?: { name?: string; prog_name?: string }[] }[]);
  const names = (shown?.tc ?? []).flatMap((p) => p.prog_name ?? p.name ?? []);
  return names.length === 0 ? '' : `; tc: ${names.join(', ')}`;
}

const programs = async (i: CheckedInterface): Promise<Found> => {
  const facts = factsOf(i);
  if ('result' in facts) return unknown(`${i.name}: not found`, 'see N-DRV');
  if (facts.xdp === 'none') return ok(`${i.name}: no XDP program${await neighbours(i)}`);
  const shown = await outputOf('bpftool', '-j', 'prog', 'show', 'id', String(facts.programId));
  const name = shown === undefined ? '' : ((JSON.parse(shown) as { name?: string }).name ?? '');
  const of = `program ${facts.programId}${name === '' ? '' : ` (${name})`}`;
  return name.startsWith('gateway')
    ? info(`${i.name}: a gateway meters it already (${of}, ${facts.xdp})`)
    : warning(
        `${i.name}: ${of} is attached in ${facts.xdp} mode`,
        `stop its owner, \`ip link set ${i.name} xdp off\`, or capture.coexist: tc to meter behind it what it lets pass`,
      );
};

const queues = async (i: CheckedInterface): Promise<Found> => {
  const shown = await said(i, 'ip', '-j', '-d', 'link', 'show', 'dev', i.name);
  const [link] = shown === undefined ? [] : (JSON.parse(shown) as { num_rx_queues?: number }[]);
  if (link?.num_rx_queues === undefined) return unknown(`${i.name}: no queues to see`, 'see N-DRV');
  const channels = (await said(i, 'ethtool', '-l', i.name)) ?? '';
  // Combined or RX channels: the maximum first, then what is set.
  const counts = [...channels.matchAll(/^(?:Combined|RX):\s+(\d+)$/gm)].map((match) => Number(match[1]));
  const half = counts.length / 2;
  const most = Math.max(1, ...counts.slice(0, half));
  const set = Math.max(0, ...counts.slice(half));
  const rx = set > 0 ? set : link.num_rx_queues;
  const cpus = availableParallelism();
  const words = `${i.name}: ${rx} receive queues, ${cpus} CPUs`;
  return rx >= Math.min(cpus, most)
    ? ok(words)
    : warning(
        `${words}: one CPU may be the bottleneck`,
        `ethtool -L ${i.name} combined ${Math.min(cpus, most)}`,
      );
};

const rules = async (i: CheckedInterface): Promise<Found> => {
  const text = await said(i, 'ethtool', '-n', i.name);
  const count = Number(/^Total (\d+) rules/m.exec(text ?? '')?.[1] ?? 0);
  return count === 0
    ? ok(`${i.name}: no rule of its own sends flows to certain queues`)
    : warning(
        `${i.name}: ${count} flow director rules send packets to certain queues`,
        `ethtool -n ${i.name} shows them, ethtool -N ${i.name} delete N removes one`,
      );
};

const symmetry = async (i: CheckedInterface): Promise<Found> => {
  const text = await said(i, 'ethtool', '-x', i.name);
  if (text === undefined)
    return info(`${i.name}: its hash cannot be read; both directions merge in user space anyway`);
  return /symmetric-xor: on/.test(text)
    ? ok(`${i.name}: both directions of a flow come to one CPU`)
    : info(`${i.name}: directions of a flow may come to two CPUs; they are merged in user space`);
};

const offloads = async (i: CheckedInterface): Promise<Found> => {
  const text = await said(i, 'ethtool', '-k', i.name);
  if (text === undefined) return unknown(`${i.name}: offloads cannot be read`, 'install ethtool');
  const on = (feature: string): boolean => new RegExp(`^${feature}: on`, 'm').test(text);
  if (on('large-receive-offload'))
    return warning(`${i.name}: LRO merges packets before XDP sees them`, `ethtool -K ${i.name} lro off`);
  const facts = factsOf(i);
  if (on('rx-vlan-offload') && !('tellsVlan' in facts && facts.tellsVlan))
    return warning(
      `${i.name}: the NIC takes VLAN tags out of packets, and its driver does not tell XDP`,
      `ethtool -K ${i.name} rxvlan off`,
    );
  const stamps = /hardware-receive/.test((await said(i, 'ethtool', '-T', i.name)) ?? '');
  const more = `GRO ${on('generic-receive-offload') ? 'on, after XDP' : 'off'}, hardware timestamps ${stamps ? 'there' : 'not there'}`;
  return ok(`${i.name}: no offload hides packets or tags; ${more}`);
};

const interrupts = async (i: CheckedInterface): Promise<Found> => {
  if (i.netns !== undefined) return elsewhere(i);
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
  const text = await said(i, 'tc', '-j', 'qdisc', 'show', 'dev', i.name);
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
export const interfaceChecks = (
  interfaces: readonly CheckedInterface[],
  trial: () => Promise<Trial>,
  running: boolean,
): Check[] => [
  { id: 'N-DRV', words: 'interface and driver', run: each(interfaces, driver) },
  { id: 'N-XDP', words: 'native XDP of the driver, by asking the kernel', run: each(interfaces, native) },
  { id: 'N-MTU', words: 'MTU against native XDP', run: each(interfaces, mtu) },
  { id: 'N-CONF', words: 'XDP programs already there', run: each(interfaces, programs) },
  { id: 'N-RSS', words: 'receive queues against CPUs', run: each(interfaces, queues) },
  { id: 'N-SYM', words: 'symmetric hashing', run: each(interfaces, symmetry) },
  { id: 'N-RULE', words: 'flow director rules', run: each(interfaces, rules) },
  { id: 'N-OFF', words: 'offloads that hide packets', run: each(interfaces, offloads) },
  { id: 'N-IRQ', words: 'interrupt affinity and NUMA', run: each(interfaces, interrupts) },
  {
    id: 'A-TC',
    words: 'queueing disciplines, by setting one on a cable of our own',
    run: async () => [...(running ? [] : [(await trial()).shaping]), ...(await each(interfaces, qdisc)())],
  },
];
