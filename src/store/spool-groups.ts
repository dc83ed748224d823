import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncDirectory } from './spool-files.js';

/** Frames that are sent as one, and the token that they share. Written before the first attempt, never changed. */
export interface FrameGroup {
  readonly token: string;
  readonly frames: readonly string[];
}

const GROUP = '.group';
const DONE = '.done';

/** The files of a spool that say which frames travel together. */
export class SpoolGroups {
  readonly #directory: string;
  readonly #fsync: boolean;

  constructor(directory: string, fsync: boolean) {
    this.#directory = directory;
    this.#fsync = fsync;
  }

  /** Writes down that frames belong together; when it resolves that survives the process. Gives the group's name. */
  async write(group: FrameGroup): Promise<string> {
    const name = `${group.frames[0]!}${GROUP}`;
    await replaceFile(this.#path(name), Buffer.from(JSON.stringify(group), 'utf8'), this.#fsync);
    if (this.#fsync) await syncDirectory(this.#directory);
    return name;
  }

  /** Groups that an earlier process left and may have sent. */
  async all(): Promise<(FrameGroup & { readonly name: string })[]> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith(GROUP)).sort();
    const groups: (FrameGroup & { readonly name: string })[] = [];
    for (const name of names) {
      const group = await this.#read(name);
      if (group !== undefined) groups.push({ ...group, name });
    }
    return groups;
  }

  /** From now on the group is stored, and its frames are to go. */
  async beginRemoval(name: string): Promise<string> {
    const done = `${name.slice(0, -GROUP.length)}${DONE}`;
    await rename(this.#path(name), this.#path(done));
    return done;
  }

  async endRemoval(done: string): Promise<void> {
    await rm(this.#path(done), { force: true });
  }

  /** Frames of groups whose removal a crash cut off; the marks go after their frames are handed out. */
  async *removals(): AsyncGenerator<readonly string[]> {
    for (const name of await readdir(this.#directory)) {
      if (!name.endsWith(DONE)) continue;
      yield (await this.#read(name))?.frames ?? [];
      await this.endRemoval(name);
    }
  }

  /** A group that is damaged says nothing any more: it is set aside, and its frames go as if they had never been sent. */
  async #read(name: string): Promise<FrameGroup | undefined> {
    try {
      return JSON.parse(await readFile(this.#path(name), 'utf8')) as FrameGroup;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      await rename(this.#path(name), join(this.#directory, 'quarantine', name));
      return undefined;
    }
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}
