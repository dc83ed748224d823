import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  missingForNamespaces,
  netnsPath,
  removeNamespaces,
  runInNamespace,
  runWithInput,
} from '../../src/lab/namespaces.js';

/** Why tests that make network namespaces cannot run here, or undefined when they can. */
export function netnsSkipReason(): string | undefined {
  const missing = missingForNamespaces();
  if (missing === undefined) return undefined;
  return missing.code === 'privilege'
    ? `needs ${missing.what}`
    : `needs ${missing.what} (Debian: ${missing.from})`;
}

/** Why tests that steer with nf_tables cannot run here, or undefined when they can. */
export function nftSkipReason(): string | undefined {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .some((directory) => existsSync(join(directory, 'nft')));
  return netnsSkipReason() ?? (found ? undefined : 'needs nft (Debian: nftables)');
}

/** A name that no other test or lab uses: short, because interface and namespace names are. */
export const uniqueName = (prefix: string): string =>
  `${prefix}${process.pid}-${randomBytes(2).toString('hex')}`;

export interface NetnsPair {
  /** Namespace names; interfaces are called `left` and `right` inside. */
  readonly left: string;
  readonly right: string;
  readonly leftPath: string;
  readonly rightPath: string;
  readonly leftIPv4: '10.99.0.1';
  readonly rightIPv4: '10.99.0.2';
  readonly leftIPv6: 'fd00:99::1';
  readonly rightIPv6: 'fd00:99::2';
  /** Runs a shell script in a namespace; resolves with its stdout. */
  run(side: 'left' | 'right', script: string): Promise<string>;
  /** Prefix for `execFile`/`spawn`: `[...pair.enter('left'), 'ping', …]` with the first element as program. */
  enter(side: 'left' | 'right'): string[];
  remove(): Promise<void>;
}

export interface NetnsPairOptions {
  /** Queues of each end. Default 2. */
  readonly queues?: number;
  /** Let the sides' kernels send segmentation and checksum work to the device. Default false: real packets. */
  readonly offloads?: boolean;
}

/**
 * Two namespaces joined by one veth cable, addressed and up, with no way to anywhere else. XDP on `right` sees real
 * packets from `left`, and the other way round.
 */
export async function netnsPair(options: NetnsPairOptions = {}): Promise<NetnsPair> {
  const base = uniqueName('tgt');
  const names = { left: `${base}-l`, right: `${base}-r` };
  const q = `numtxqueues ${options.queues ?? 2} numrxqueues ${options.queues ?? 2}`;
  const remove = (): Promise<void> => removeNamespaces([names.left, names.right]);
  try {
    await runWithInput(
      'ip',
      ['-batch', '-'],
      `netns add ${names.left}\nnetns add ${names.right}\n` +
        `link add left netns ${names.left} ${q} type veth peer name right netns ${names.right} ${q}\n`,
    );
    const script = (device: string, ipv4: string, ipv6: string): string =>
      `echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad\necho 0 > /proc/sys/net/ipv6/conf/${device}/accept_dad\n` +
      (options.offloads ? '' : `ethtool -K ${device} tx off gro on > /dev/null\n`) +
      `ip -batch - <<'B'\nlink set lo up\naddr add ${ipv4}/24 dev ${device}\naddr add ${ipv6}/64 dev ${device} nodad\n` +
      `link set ${device} up\nB\n`;
    await Promise.all([
      runInNamespace(names.left, script('left', '10.99.0.1', 'fd00:99::1')),
      runInNamespace(names.right, script('right', '10.99.0.2', 'fd00:99::2')),
    ]);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    ...names,
    leftPath: netnsPath(names.left),
    rightPath: netnsPath(names.right),
    leftIPv4: '10.99.0.1',
    rightIPv4: '10.99.0.2',
    leftIPv6: 'fd00:99::1',
    rightIPv6: 'fd00:99::2',
    run: (side, text) => runInNamespace(names[side], text),
    enter: (side) => ['nsenter', `--net=${netnsPath(names[side])}`],
    remove,
  };
}

/** Interface counters of a namespace: name → packets and octets. */
export function interfaceCounters(
  netns: string,
): Map<string, { rxOctets: number; rxPackets: number; txOctets: number; txPackets: number }> {
  const text = execFileSync('nsenter', [`--net=${netns}`, 'cat', '/proc/net/dev'], { encoding: 'utf8' });
  return new Map(
    text
      .split('\n')
      .slice(2)
      .filter((line) => line.includes(':'))
      .map((line) => {
        const [name = '', ...rest] = line.trim().split(/[:\s]+/);
        const [rxOctets = 0, rxPackets = 0, , , , , , , txOctets = 0, txPackets = 0] = rest.map(Number);
        return [name, { rxOctets, rxPackets, txOctets, txPackets }] as const;
      }),
  );
}
