import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { storeError } from './errors.js';

interface Owner {
  readonly pid: number;
  /** Tells a process from a later one with the same number. */
  readonly identity: string;
}

/** Boot and start time of a process in clock ticks (`/proc/PID/stat`, field 22); `undefined` when there is none. */
export function processIdentity(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command in parentheses may contain anything, so fields are counted after its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** The process that holds a kernel lock on a file, from `/proc/locks`. */
export function lockHolder(path: string): number | undefined {
  try {
    const { ino } = statSync(path);
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const fields = line.trim().split(/\s+/);
      if (fields[5]?.endsWith(`:${ino}`) && Number(fields[4]) > 0) return Number(fields[4]);
    }
  } catch {
    // No such file, or no /proc: then nobody can be named.
  }
  return undefined;
}

/** One gateway a data directory. A lock that a dead process left is taken over. */
export class DirectoryLock {
  readonly #path: string;
  #held = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws TG_STORE_LOCKED with the pid of the holder */
  acquire(): void {
    const directory = dirname(this.#path);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const owner = this.#owner();
    if (owner !== undefined) {
      if (processIdentity(owner.pid) === owner.identity) {
        throw storeError('TG_STORE_LOCKED', { directory, pid: owner.pid });
      }
      rmSync(this.#path, { force: true });
    }
    let descriptor: number;
    try {
      descriptor = openSync(this.#path, 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      // Another gateway was faster by a moment.
      throw storeError('TG_STORE_LOCKED', { directory, pid: this.#owner()?.pid ?? 0 }, error);
    }
    writeFileSync(
      descriptor,
      JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) ?? '' }),
    );
    closeSync(descriptor);
    this.#held = true;
  }

  release(): void {
    if (this.#held) rmSync(this.#path, { force: true });
    this.#held = false;
  }

  #owner(): Owner | undefined {
    try {
      return JSON.parse(readFileSync(this.#path, 'utf8')) as Owner;
    } catch {
      return undefined;
    }
  }
}
