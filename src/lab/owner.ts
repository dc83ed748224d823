import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, type ProcessIdentity, processIdentity } from '../base/process-identity.js';

/** Who runs the lab of a name: a file that tells a living owner from leftovers of one that was killed. */
export class OwnerFile {
  readonly #path: string;

  constructor(directory: string, name: string) {
    this.#path = join(directory, `${name}.json`);
  }

  /** Process id of a living owner other than this process, or undefined. */
  livingOwner(): number | undefined {
    try {
      const owner = JSON.parse(readFileSync(this.#path, 'utf8')) as ProcessIdentity;
      return owner.pid !== process.pid && isAlive(owner) ? owner.pid : undefined;
    } catch {
      return undefined; // no file, or one that was cut off by a crash: nobody owns the lab
    }
  }

  claim(): void {
    mkdirSync(join(this.#path, '..'), { recursive: true });
    writeFileSync(this.#path, JSON.stringify(processIdentity()));
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }
}
