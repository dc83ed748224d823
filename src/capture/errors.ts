import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { defineErrors, type TidegateError } from '../base/errors.js';
import { type InterfaceFacts, isNativeFailure } from './bpf.js';

export const fail = defineErrors({
  TG_CAPTURE_PRIVILEGE: {
    message: 'the kernel does not let this process {operation} (EPERM)',
    hint: 'run as root, or give the process CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN',
    exitCode: 3,
  },
  TG_CAPTURE_OBJECT: {
    message: 'the BPF programs are not built: {path} is missing',
    hint: 'build them with `make bpf`',
    exitCode: 3,
  },
  TG_CAPTURE_VERIFIER: {
    message: 'this kernel ({kernel}) refuses the BPF programs: {reason}',
    hint: 'see {log}; Linux 6.7 or newer with CONFIG_BPF_SYSCALL and CONFIG_BPF_JIT is needed',
    exitCode: 3,
  },
  TG_CAPTURE_REALTIME: {
    message: 'this kernel is fully preemptible (PREEMPT_RT)',
    hint: 'use a standard kernel: the flow cache relies on bottom halves that exclude each other on a CPU',
    exitCode: 3,
  },
  TG_CAPTURE_KERNEL: {
    message: 'could not {operation} ({errno})',
    hint: 'see {log}; Linux 6.7 or newer is needed',
    exitCode: 3,
  },
  TG_CAPTURE_INTERFACE_MISSING: {
    message: 'there is no interface {name} in {where}',
    hint: 'list the interfaces with `ip -br link`',
    exitCode: 2,
  },
  TG_CAPTURE_NETNS: {
    message: 'the network namespace {netns} cannot be entered ({errno})',
    hint: 'list the namespaces with `ip netns`',
    exitCode: 2,
  },
  TG_CAPTURE_OWNED: {
    message: 'another process runs this gateway: it holds the pinned datapath',
    hint: 'stop it first, or give this gateway another name',
    exitCode: 3,
  },
  TG_CAPTURE_EGRESS: {
    message:
      'interface {name} (driver {driver}, MTU {mtu}) refuses the program for what this host sends ({errno})',
    hint: 'tcx links need Linux 6.6 or newer with CONFIG_NET_XGRESS; switch capture.egress off to do without',
    exitCode: 3,
  },
  TG_CAPTURE_BEHIND_XDP: {
    message:
      'interface {name} (driver {driver}, MTU {mtu}) refuses the tc program behind its XDP program ({errno})',
    hint: 'tcx links need Linux 6.6 or newer with CONFIG_NET_XGRESS; or take the XDP program off (ip link set dev {name} xdp off) and set capture.coexist to refuse',
    exitCode: 3,
  },
  TG_CAPTURE_XDP_BUSY: {
    message:
      'interface {name} (driver {driver}, MTU {mtu}) already runs another XDP program (id {programId}, {mode})',
    hint: 'Tidegate never replaces a program of others: see whose it is (bpftool prog show id {programId}) and end it there, take it off (ip link set dev {name} xdp off), or meter behind it what it lets pass (capture.coexist: tc)',
    exitCode: 3,
  },
  TG_CAPTURE_STEER_LINK: {
    message: 'link {link} cannot be steered to: {reason}',
    hint: 'see the links in the configuration and `ip -br link`',
    exitCode: 2,
    httpStatus: 409,
  },
  TG_CAPTURE_STEER_RULE: {
    message: 'steering rule {rule}: {reason}',
    hint: 'correct the rule; nothing was changed',
    exitCode: 2,
    httpStatus: 400,
  },
  TG_CAPTURE_STEER_ROOM: {
    message: 'steering has no room for {what}',
    hint: 'steer fewer endpoints, or wait until flows have ended; nothing was changed',
    httpStatus: 409,
  },
  TG_CAPTURE_ATTACH: {
    message: 'interface {name} (driver {driver}, MTU {mtu}) refuses {mode} XDP ({errno})',
    hint: '{remedy}',
    exitCode: 3,
  },
});

const EPERM = 1;
const EAGAIN = 11;
const EEXIST = 17;
const EBUSY = 16;
const ENODEV = 19;

const errnoName = (errno: number): string => {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return errno === 524 ? 'ENOTSUPP' : `errno ${errno}`;
  }
};

/** The last line of a verifier log that says something, without its statistics. */
const verifierReason = (log: string): string =>
  log
    .split('\n')
    .map((line) => line.trim())
    .filter(
      (line) => line !== '' && !/^(processed \d+|-- |libbpf:.*(BEGIN|END) |verification time)/.test(line),
    )
    .filter((line) => !/^libbpf: (prog|failed to load)/.test(line))
    .at(-1) ?? 'no reason given';

const saveLog = (log: string): string => {
  if (log === '') return 'dmesg';
  const file = join(mkdtempSync(join(tmpdir(), 'tidegate-bpf-')), 'log.txt');
  writeFileSync(file, log);
  return file;
};

/** Explains a failure to load the programs; the whole log goes to a file that the hint names. */
export function explainLoad(error: unknown, kernel: string): unknown {
  if (!isNativeFailure(error)) return error;
  const { operation, errno, log } = error;
  if (errno === EPERM) return fail('TG_CAPTURE_PRIVILEGE', { operation }, error);
  if (operation === 'own the pin directory' && errno === EAGAIN) return fail('TG_CAPTURE_OWNED', {}, error);
  const file = saveLog(log);
  if (operation === 'load the BPF programs')
    return fail('TG_CAPTURE_VERIFIER', { kernel, reason: verifierReason(log), log: file }, error);
  return fail('TG_CAPTURE_KERNEL', { operation, errno: errnoName(errno), log: file }, error);
}

/** Explains why an interface cannot be looked at. */
export function explainProbe(error: unknown, name: string, netns: string): unknown {
  if (!isNativeFailure(error)) return error;
  if (error.errno === EPERM) return fail('TG_CAPTURE_PRIVILEGE', { operation: `enter ${netns}` }, error);
  if (error.errno === ENODEV)
    return fail('TG_CAPTURE_INTERFACE_MISSING', { name, where: netns || 'this network namespace' }, error);
  return fail('TG_CAPTURE_NETNS', { netns, errno: errnoName(error.errno) }, error);
}

const factsOf = (facts: InterfaceFacts): { readonly driver: string; readonly mtu: number } => ({
  driver: facts.driver || 'unknown',
  mtu: facts.mtu,
});

/** An interface whose XDP program is not ours. */
export const busy = (name: string, facts: InterfaceFacts): Error =>
  fail('TG_CAPTURE_XDP_BUSY', {
    name,
    ...factsOf(facts),
    programId: facts.programId,
    mode: facts.xdp,
  });

/** Explains why an interface refuses XDP, with what can be done about it. */
export function explainAttach(
  error: unknown,
  name: string,
  facts: InterfaceFacts,
  mode: 'native' | 'generic',
): unknown {
  if (!isNativeFailure(error)) return error;
  const { errno } = error;
  if (errno === EPERM) return fail('TG_CAPTURE_PRIVILEGE', { operation: `attach XDP to ${name}` }, error);
  if (errno === EBUSY || errno === EEXIST) return busy(name, facts);
  const remedy =
    mode === 'generic'
      ? 'see dmesg for the reason'
      : facts.mtu > 3498
        ? `lower the MTU (ip link set ${name} mtu 1500), or use mode generic`
        : 'the driver has no native XDP, too few queues, or LRO on (ethtool -K lro off); use mode auto or generic';
  return fail('TG_CAPTURE_ATTACH', { name, ...factsOf(facts), mode, errno: errnoName(errno), remedy }, error);
}

/** Explains why an interface refuses a tc program. */
export function explainTc(
  error: unknown,
  name: string,
  facts: InterfaceFacts,
  hook: 'ingress' | 'egress',
): unknown {
  if (!isNativeFailure(error)) return error;
  if (error.errno === EPERM)
    return fail('TG_CAPTURE_PRIVILEGE', { operation: `attach to tc ${hook} of ${name}` }, error);
  return fail(
    hook === 'egress' ? 'TG_CAPTURE_EGRESS' : 'TG_CAPTURE_BEHIND_XDP',
    { name, ...factsOf(facts), errno: errnoName(error.errno) },
    error,
  );
}

/** A refusal after which generic mode is worth trying. */
export const mayFallBack = (error: unknown): error is TidegateError =>
  error instanceof Error && 'code' in error && error.code === 'TG_CAPTURE_ATTACH';

const E2BIG = 7;
const ENOSPC = 28;

/** Explains why the datapath did not take a link or a set of rules. */
export function explainSteering(error: unknown, link: string): unknown {
  if (!isNativeFailure(error)) return error;
  const { errno, operation } = error;
  if (errno === E2BIG) return fail('TG_CAPTURE_STEER_ROOM', { what: 'so many rules' }, error);
  if (errno === ENOSPC)
    return fail('TG_CAPTURE_STEER_ROOM', { what: 'the flows that must stay where they are' }, error);
  const reason =
    errno !== ENODEV
      ? `could not ${operation} (${errnoName(errno)})`
      : operation === 'steer'
        ? 'the datapath has ended'
        : 'its interface does not exist';
  return fail('TG_CAPTURE_STEER_LINK', { link, reason }, error);
}
