import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isAlive, type ProcessIdentity, processIdentity } from '../base/process-identity.js';
import { actuateError } from './errors.js';

/**
 * One applier at a time on this host: a file that its holder creates exclusively. A holder that died holds nothing.
 */
export class FileLease {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Runs `work` while holding the lease. @throws TG_ACTUATE_LEASE when another process holds it */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    await this.#acquire();
    try {
      return await work();
    } finally {
      await rm(this.#file, { force: true });
    }
  }

  async #acquire(): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      try {
        await writeFile(this.#file, JSON.stringify(processIdentity()), { flag: 'wx' });
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = await this.#holder(this.#file);
      if (holder !== undefined && isAlive(holder))
        throw actuateError('TG_ACTUATE_LEASE', { pid: holder.pid });
      await this.#setAside();
    }
    throw actuateError('TG_ACTUATE_LEASE', { pid: 'unknown' });
  }

  async #holder(file: string): Promise<ProcessIdentity | undefined> {
    try {
      return JSON.parse(await readFile(file, 'utf8')) as ProcessIdentity;
    } catch {
      return undefined;
    }
  }

  /** Moves a dead holder's file away; if another process took the lease meanwhile, it gets its file back. */
  async #setAside(): Promise<void> {
    const aside = `${this.#file}.${process.pid}`;
    try {
      await rename(this.#file, aside);
    } catch {
      return; // somebody else was faster
    }
    const moved = await this.#holder(aside);
    if (moved !== undefined && isAlive(moved)) await rename(aside, this.#file);
    else await rm(aside, { force: true });
  }
}
