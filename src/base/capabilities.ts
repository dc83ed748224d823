import { readFileSync } from 'node:fs';

/** Capabilities by their numbers in linux/capability.h. */
export const CAPABILITY_NAMES = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_SETGID',
  'CAP_SETUID', 'CAP_SETPCAP', 'CAP_LINUX_IMMUTABLE', 'CAP_NET_BIND_SERVICE', 'CAP_NET_BROADCAST', 'CAP_NET_ADMIN',
  'CAP_NET_RAW', 'CAP_IPC_LOCK', 'CAP_IPC_OWNER', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE', 'CAP_SYS_PACCT', 'CAP_SYS_ADMIN', 'CAP_SYS_BOOT', 'CAP_SYS_NICE', 'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME', 'CAP_SYS_TTY_CONFIG', 'CAP_MKNOD', 'CAP_LEASE', 'CAP_AUDIT_WRITE', 'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP', 'CAP_MAC_OVERRIDE', 'CAP_MAC_ADMIN', 'CAP_SYSLOG', 'CAP_WAKE_ALARM', 'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ', 'CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE',
] as const; // biome-ignore format: by number

export type Capability = (typeof CAPABILITY_NAMES)[number];

/** The kernel's bit mask of a set. */
export const capabilityMask = (names: Iterable<Capability>): bigint => {
  let mask = 0n;
  for (const name of names) mask |= 1n << BigInt(CAPABILITY_NAMES.indexOf(name));
  return mask;
};

/** The names in a mask as proc(5) writes it, in hexadecimal. */
export function capabilitiesIn(hexadecimal: string): Capability[] {
  const mask = BigInt(`0x${hexadecimal.trim()}`);
  return CAPABILITY_NAMES.filter((_name, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}

/** What this thread may do now (`CapEff` of proc(5)); nothing where there is no /proc. */
export function effectiveCapabilities(): Capability[] {
  try {
    const status = readFileSync('/proc/thread-self/status', 'utf8');
    return capabilitiesIn(/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
  } catch {
    return [];
  }
}
