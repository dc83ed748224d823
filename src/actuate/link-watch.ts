import { type ChildProcess, spawn } from 'node:child_process';

export interface LinkEvent {
  readonly interfaceName: string;
  /** Administratively up, and with a carrier. False too when the interface has gone. */
  readonly up: boolean;
}

/** One line of `ip -o monitor link`; undefined when it is none about an interface. */
export function linkEvent(line: string): LinkEvent | undefined {
  const match = /^(Deleted )?\d+: ([^:@ ]+)[^<]*<([^>]*)>/.exec(line);
  if (match === null) return undefined;
  const flags = match[3]!.split(',');
  return {
    interfaceName: match[2]!,
    up: match[1] === undefined && flags.includes('UP') && flags.includes('LOWER_UP'),
  };
}

/** Tells when interfaces of a network namespace go down and come up, as the kernel says it. */
export class LinkWatch {
  #child: ChildProcess | undefined;

  constructor(
    readonly netns: string | undefined,
    readonly onEvent: (event: LinkEvent) => void,
  ) {}

  start(): void {
    if (this.#child !== undefined) return;
    const enter = this.netns === undefined ? [] : ['nsenter', `--net=${this.netns}`];
    const [program, ...args] = [...enter, 'ip', '-o', 'monitor', 'link'];
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const event = linkEvent(line);
        if (event !== undefined) this.onEvent(event);
      }
    });
    child.on('error', () => undefined); // without it the kernel still finds links whose route has gone
    child.unref();
    (child.stdout as unknown as { unref?: () => void }).unref?.();
    this.#child = child;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await gone;
  }
}
