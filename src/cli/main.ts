#!/usr/bin/env node
import { CommanderError } from 'commander';
import { messageOf, TidegateError } from '../base/errors.js';
import type { CliContext } from './context.js';
import { buildProgram, COMMANDS } from './table.js';

const USAGE_EXIT = 2;

async function main(): Promise<number> {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort(signal));
  // A reader that went away (`| head`) ends the command quietly instead of crashing it.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

  const context: CliContext = {
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: process.stdout.isTTY === true,
    progress: process.stderr.isTTY === true && !process.argv.includes('--no-progress'),
    signal: abort.signal,
  };
  const asked = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  const program = await buildProgram(context, asked !== undefined && asked in COMMANDS ? [asked] : undefined);

  try {
    await program.parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT;
    if (error instanceof TidegateError) {
      process.stderr.write(`${error.toLine()}\n`);
      return error.exitCode;
    }
    process.stderr.write(
      `TG_CLI_UNEXPECTED: ${messageOf(error)}; this is a defect, please report it with the lines below\n`,
    );
    if (error instanceof Error && error.stack) process.stderr.write(`${error.stack}\n`);
    return 1;
  }
}

// onnxruntime would report its use to its maker. A gateway tells nobody anything that it was not asked to tell. Set here,
// in the main thread and before the library is loaded, because only this thread's environment is the process's.
process.env.ORT_DISABLE_TELEMETRY = '1';
const code = await main();
// Pipes are flushed before the process ends; nothing else may hold it open.
process.stdout.write('', () => process.exit(code));
