import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { messageOf } from '../base/errors.js';
import { labError } from './errors.js';

/** Where iproute2 binds named network namespaces. */
export const NETNS_DIRECTORY = '/run/netns';

export const netnsPath = (name: string): string => join(NETNS_DIRECTORY, name);

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

/** Why network namespaces cannot be made here, or undefined when they can. Changes nothing. */
export function missingForNamespaces():
  | { code: 'privilege' | 'tool'; what: string; from: string }
  | undefined {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const capabilities = BigInt(`0x${effective}`);
  const missing = [
    (capabilities >> CAP_NET_ADMIN) & 1n ? '' : 'CAP_NET_ADMIN',
    (capabilities >> CAP_SYS_ADMIN) & 1n ? '' : 'CAP_SYS_ADMIN',
  ].filter((name) => name !== '');
  if (missing.length > 0) return { code: 'privilege', what: missing.join(' and '), from: '' };
  const tools = { ip: 'iproute2', tc: 'iproute2', ethtool: 'ethtool', nsenter: 'util-linux' };
  const directories = (process.env.PATH ?? '').split(delimiter);
  for (const [tool, from] of Object.entries(tools)) {
    if (!directories.some((directory) => existsSync(join(directory, tool))))
      return { code: 'tool', what: tool, from };
  }
  return undefined;
}

/** Runs a program with `input` on stdin. Resolves with stdout; rejects with what it said on stderr. */
export function runWithInput(command: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.stdin.on('error', () => undefined); // the exit status tells more than EPIPE
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(stderr.trim() || `${command} ended with ${signal ?? `status ${code}`}`));
    });
    child.stdin.end(input);
  });
}

/** Runs a shell script inside a namespace; one process start for many steps. Rejects at the first failing step. */
export const runInNamespace = (name: string, script: string): Promise<string> =>
  runWithInput('nsenter', [`--net=${netnsPath(name)}`, 'sh', '-eu', '-s'], script);

const identityOf = (path: string): string | undefined => {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
};

/** What tells a namespace from others, also after its name is gone. Names without a namespace are left out. */
const identitiesOf = (names: readonly string[]): ReadonlySet<string> =>
  new Set(names.map((name) => identityOf(netnsPath(name))).filter((identity) => identity !== undefined));

function membersOf(namespaces: ReadonlySet<string>): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((entry) => namespaces.has(identityOf(`/proc/${entry}/ns/net`) ?? ''))
    .map(Number);
}

/** Processes whose main thread is in one of the namespaces, this process excepted. */
export const processesIn = (names: readonly string[]): number[] => membersOf(identitiesOf(names));

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself meanwhile.
  }
};

/** Asks the processes in the namespaces to end, waits up to `graceMs`, then kills those that stayed. */
async function endMembers(namespaces: ReadonlySet<string>, graceMs: number): Promise<void> {
  for (const pid of membersOf(namespaces)) signal(pid, 'SIGTERM');
  const deadline = Date.now() + graceMs;
  while (membersOf(namespaces).length > 0 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
  for (const pid of membersOf(namespaces)) signal(pid, 'SIGKILL');
}

/** Removes namespaces with everything in them. Names that do not exist are no error. */
export async function removeNamespaces(names: readonly string[]): Promise<void> {
  const present = names.filter((name) => existsSync(netnsPath(name)));
  if (present.length === 0) return;
  const identities = identitiesOf(present);
  await endMembers(identities, 1000);
  try {
    await runWithInput(
      'ip',
      ['-force', '-batch', '-'],
      present.map((name) => `netns del ${name}\n`).join(''),
    );
  } catch (cause) {
    const left = present.filter((name) => existsSync(netnsPath(name)));
    if (left.length > 0)
      throw labError('TG_LAB_CLEAN', { what: left.join(', '), reason: messageOf(cause) }, cause);
  }
  // Whoever entered between the two steps would keep a namespace without a name alive.
  await endMembers(identities, 0);
}
