import type { Command } from 'commander';
import type { CliContext } from '../context.js';
import { registerEvaluate } from './fingerprint-evaluate.js';
import { registerTrain } from './fingerprint-train.js';

/** `tidegate fingerprint train|evaluate`: encoders for one's own traffic, and how good they are. */
export function register(program: Command, context: CliContext): void {
  const group = program.command('fingerprint').description('train and judge the encoder of flow records');
  registerTrain(group, context);
  registerEvaluate(group, context);
}
