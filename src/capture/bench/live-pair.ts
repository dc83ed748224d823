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
    ip('-n', this.#name, 'link', 'add', this.near, 'type', 'veth', 'peer', 'name', this.far);
    for (const device of [this.near, this.far]) ip('-n', this.#name, 'link', 'set', device, 'up');
  }

  get netns(): string {
    return `/run/netns/${this.#name}`;
  }

  remove(): void {
    ip('netns', 'del', this.#name);
  }
}
