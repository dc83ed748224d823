import { closeSync, existsSync, mkdirSync, openSync, readSync, rmdirSync } from 'node:fs';
import { type Capability, effectiveCapabilities } from '../base/capabilities.js';
import { messageOf } from '../base/errors.js';
import { PIN_ROOT } from '../capture/bpf.js';
import { isRealtimeKernel } from '../capture/xdp.js';
import { blocker, type Check, info, ok, warning } from './finding.js';
import type { Trial } from './trial.js';
import { textOf } from './try.js';

const BTF = '/sys/kernel/btf/vmlinux';
/** BTF_MAGIC of the kernel's uapi/linux/btf.h, in this machine's byte order. */
const BTF_MAGIC = 0xeb9f;
const BPFFS = '/sys/fs/bpf';

/** What is needed to attach, and is not among these. */
export function missingCapabilities(held: readonly Capability[]): Capability[] {
  const needed: Capability[] = ['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON'];
  // Before Linux 5.8 CAP_SYS_ADMIN covered BPF and PERFMON, and it still does.
  return needed.filter(
    (name) => !held.includes(name) && !(name !== 'CAP_NET_ADMIN' && held.includes('CAP_SYS_ADMIN')),
  );
}

const btf = async () => {
  try {
    const file = openSync(BTF, 'r');
    const magic = Buffer.alloc(2);
    readSync(file, magic, 0, 2, 0);
    closeSync(file);
    if (new Uint16Array(magic.buffer, magic.byteOffset, 1)[0] === BTF_MAGIC)
      return [ok(`${BTF} is readable`)];
    return [blocker(`${BTF} is no BTF`, 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y')];
  } catch (error) {
    return [blocker(`${BTF}: ${messageOf(error)}`, 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y')];
  }
};

/** More than any actuator needs. */
const FEW = 6;

const capabilities = (running: boolean) => async () => {
  const held = effectiveCapabilities();
  if (running) {
    const kept =
      held.length === 0
        ? 'given all of them up'
        : held.length > FEW
          ? `kept ${held.length} of them, as a lab must`
          : `kept ${held.join(', ')}`;
    return [ok(`the gateway has attached and ${kept}`)];
  }
  const missing = missingCapabilities(held);
  return missing.length === 0
    ? [ok('CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are held')]
    : [
        blocker(
          `missing: ${missing.join(', ')}`,
          'run as root, or in the unit: AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON',
        ),
      ];
};

const bpffs = async () => {
  const mounted = (textOf('/proc/mounts') ?? '').split('\n').some((line) => line.includes(` ${BPFFS} bpf `));
  if (!mounted) return [blocker(`no bpffs at ${BPFFS}`, `mount -t bpf bpf ${BPFFS}`)];
  // A gateway that is not root has a directory of its own there.
  const directory = existsSync(PIN_ROOT) ? PIN_ROOT : BPFFS;
  const probe = `${directory}/doctor-${process.pid}`;
  try {
    mkdirSync(probe);
    rmdirSync(probe);
    return [ok(`${directory} is writable`)];
  } catch (error) {
    return [
      blocker(
        `${directory} is not writable: ${messageOf(error)}`,
        `run as root, or give ${PIN_ROOT} to the gateway's user`,
      ),
    ];
  }
};

const realtime = async () =>
  isRealtimeKernel()
    ? [
        blocker(
          'this is a PREEMPT_RT kernel',
          'boot another kernel: on this one programs of one CPU interrupt each other',
        ),
      ]
    : [ok('not a PREEMPT_RT kernel')];

const jit = async () => {
  const enabled = textOf('/proc/sys/net/core/bpf_jit_enable')?.trim();
  return enabled === '0'
    ? [
        warning(
          'the BPF JIT is off: every packet costs several times more',
          'sysctl -w net.core.bpf_jit_enable=1',
        ),
      ]
    : [ok('the BPF JIT is on')];
};

const memlock = async () => {
  const limit = /^Max locked memory\s+(\S+)/m.exec(textOf('/proc/self/limits') ?? '')?.[1] ?? 'unknown';
  const bytes = limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
  // Since Linux 5.11 maps count against the memory cgroup, so a low limit does not matter where loading works.
  return bytes >= 512 * 2 ** 20
    ? [ok(`RLIMIT_MEMLOCK is ${limit}`)]
    : [
        info(
          `RLIMIT_MEMLOCK is ${limit} octets; kernels before 5.11 count maps against it`,
          'LimitMEMLOCK=infinity',
        ),
      ];
};

const hugePages = async () => {
  const setting = /\[(\w+)\]/.exec(textOf('/sys/kernel/mm/transparent_hugepage/enabled') ?? '')?.[1];
  return [info(`transparent huge pages: ${setting ?? 'not there'}; the flow table asks for none`)];
};

/** Whether this kernel, and this process in it, can run the datapath. */
export const kernelChecks = (trial: () => Promise<Trial>, running: boolean): Check[] => [
  { id: 'K-BTF', words: 'type information of the kernel', run: btf },
  { id: 'K-RT', words: 'kernel without PREEMPT_RT', run: realtime },
  { id: 'K-JIT', words: 'BPF programs are compiled', run: jit },
  { id: 'C-CAP', words: 'capabilities of the process', run: capabilities(running) },
  { id: 'C-MEM', words: 'locked memory', run: memlock },
  { id: 'F-BPFFS', words: 'BPF file system', run: bpffs },
  {
    id: 'K-LOAD',
    words: 'programs, ring buffers and timers, by loading them',
    run: async () => [
      running ? ok('the gateway has loaded and attached the programs') : (await trial()).load,
    ],
  },
  {
    id: 'K-XDP',
    words: 'native XDP, by attaching it to a cable of our own',
    run: async () => [running ? ok('the gateway has attached') : (await trial()).native],
  },
  { id: 'H-HUGE', words: 'transparent huge pages', run: hugePages },
];
