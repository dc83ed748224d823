import { createHash, randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { ROLES } from '../../api/config.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { toJson } from '../output.js';

/** `tidegate token NAME`: a new bearer token, and the lines by which the configuration knows it. */
export function register(program: Command, context: CliContext): void {
  program
    .command('token')
    .description('make a bearer token for the API; it is shown once and stored nowhere')
    .argument('<name>', 'whose token it is')
    .addOption(new Option('--role <role>', 'what it may do').choices([...ROLES]).default('read'))
    .addOption(outputOption(['table', 'json']))
    .action((name: string, options: { role: string; output: OutputFormat }) => {
      const token = randomBytes(32).toString('base64url');
      const sha256 = createHash('sha256').update(token).digest('hex');
      if (options.output === 'json') {
        context.stdout.write(`${toJson({ token, name, role: options.role, sha256 })}\n`);
        return;
      }
      context.stdout.write(`${token}\n`);
      context.stderr.write(
        `add to the configuration:\napi:\n  tokens:\n    - name: ${JSON.stringify(name)}\n      role: ${options.role}\n      sha256: ${sha256}\n`,
      );
    });
}
