import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ActuatedLink } from './link.js';
import { linkEvent } from './link-watch.js';

const run = promisify(execFile);
const TIMEOUT_MS = 2_000;

/**
 * The links that can carry nothing now: administratively down, without a carrier, or without an interface.
 * @param netns network namespace of the links; absent = this process's
 * @returns their ids. @throws what `ip` says when it can't be asked: then nothing is known of any link
 */
export async function linksDown(
  links: readonly ActuatedLink[],
  netns?: string,
): Promise<ReadonlySet<string>> {
  const enter = netns === undefined ? [] : ['nsenter', `--net=${netns}`];
  const [program, ...args] = [...enter, 'ip', '-o', 'link', 'show'];
  const { stdout } = await run(program!, args, { timeout: TIMEOUT_MS });
  const up = new Set(
    stdout.split('\n').flatMap((line) => {
      const seen = linkEvent(line);
      return seen?.up ? [seen.interfaceName] : [];
    }),
  );
  return new Set(links.flatMap(({ linkId, interfaceName }) => (up.has(interfaceName) ? [] : [linkId])));
}
