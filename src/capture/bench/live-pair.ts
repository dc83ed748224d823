import { execFileSync } from 'node:child_process';

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

/** A network namespace of its own with a veth pair that nothing but a bench uses. */
export class LivePair {
  readonly #name = `tidegate-bench-${process.pid}`;
  readonly near = 'near';
  readonly far = 'far';

  constructor() {
    ip('netns', 'add', this.#name);
    // Nothing is sent that was not asked for.
    ip('netns', 'exec', this.#name, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
    ip('-n', this.#name, 'link', 'add', this.near, 'type', 'veth', 'peer', 'name', this.far);
    for (const device of [this.near, this.far]) ip('-n', this.#name, 'link', 'set', device, 'up');
  }

  get netns(): string {
    return `/run/netns/${this.#name}`;
  }

  /** Packets that `near` sent to `far`. */
  sent(): number {
    const shown = execFileSync('ip', ['-n', this.#name, '-s', '-j', 'link', 'show', 'dev', this.near], {
      encoding: 'utf8',
    });
    const [link] = JSON.parse(shown) as { stats64: { tx: { packets: number } } }[];
    return link!.stats64.tx.packets;
  }

  remove(): void {
    ip('netns', 'del', this.#name);
  }
}
