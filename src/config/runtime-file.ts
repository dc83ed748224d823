import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How to reach the ClickHouse of a running gateway. */
export interface StoreEndpoint {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** What a running gateway tells other processes about itself. */
export interface DaemonInfo {
  readonly gateway: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly dataDirectory: string;
  /** Read-only access for queries. */
  readonly store: StoreEndpoint;
  /** The unix socket, and the URLs of TCP addresses. */
  readonly api: { readonly socket: string; readonly urls: readonly string[] };
}

/** Where gateways announce themselves: `$TIDEGATE_RUN_DIRECTORY`, else `/run/tidegate`. */
export const runDirectory = (): string => process.env.TIDEGATE_RUN_DIRECTORY ?? '/run/tidegate';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Announces a gateway; the file holds a password, so only its owner may read it. */
export function writeRuntimeFile(info: DaemonInfo): void {
  const directory = runDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const path = join(directory, `${info.gateway}.json`);
  writeFileSync(`${path}.new`, `${JSON.stringify(info)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Takes the announcement back. */
export const removeRuntimeFile = (gateway: string): void =>
  rmSync(join(runDirectory(), `${gateway}.json`), { force: true });

/** Every gateway that runs on this host, oldest first. Announcements of dead processes are left out. */
export function listDaemons(): DaemonInfo[] {
  let names: string[];
  try {
    names = readdirSync(runDirectory()).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  const found: DaemonInfo[] = [];
  for (const name of names) {
    try {
      const info = JSON.parse(readFileSync(join(runDirectory(), name), 'utf8')) as DaemonInfo;
      if (isAlive(info.pid)) found.push(info);
    } catch {
      // A file that is being replaced or that another user owns is not ours to read.
    }
  }
  return found.sort((a, b) => a.startedMs - b.startedMs);
}
