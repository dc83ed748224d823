import type { Command } from 'commander';
import { detachPinned } from '../../capture/bpf.js';
import type { CliContext } from '../context.js';

/** `tidegate detach NAME`: removes the pinned datapath that a dead gateway left in the kernel. */
export function register(program: Command, context: CliContext): void {
  program
    .command('detach')
    .description('remove the pinned XDP programs and maps of a gateway that no longer runs')
    .argument('<gateway>', 'name of the gateway')
    .action((gateway: string) => {
      const removed = detachPinned(gateway);
      context.stderr.write(
        removed === 0 ? `nothing is pinned for ${gateway}\n` : `removed ${removed} pins of ${gateway}\n`,
      );
    });
}
