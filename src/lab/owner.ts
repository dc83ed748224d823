import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStartTime } from './namespaces.js';

interface OwnerRecord {
  readonly pid: number;
  /** Clock ticks since boot; a reused process id has another one. */
  readonly startTime: string;
}

/** Who runs the lab of a name: a file that tells a living owner from leftovers of one that was killed. */
export class OwnerFile {
  readonly #path: string;

  constructor(directory: string, name: string) {
    this.#path = join(directory, `${name}.json`);
  }

  /** Process id of a living owner other than this process, or undefined. */
  livingOwner(): number | undefined {
    try {
      const { pid, startTime } = JSON.parse(readFileSync(this.#path, 'utf8')) as OwnerRecord;
      return pid !== process.pid && processStartTime(pid) === startTime ? pid : undefined;
    } catch {
      return undefined; // no file, or one that was cut off by a crash: nobody owns the lab
    }
  }

  claim(): void {
    const record: OwnerRecord = { pid: process.pid, startTime: processStartTime(process.pid) ?? '' };
    mkdirSync(join(this.#path, '..'), { recursive: true });
    writeFileSync(this.#path, JSON.stringify(record));
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }
}
