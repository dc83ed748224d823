import type { Writable } from 'node:stream';

/** What a command gets: where to write, and whether a person is looking. Data goes to stdout, talk to stderr. */
export interface CliContext {
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** stdout is a terminal: colours (unless NO_COLOR), live screens. */
  readonly interactive: boolean;
  /** stderr is a terminal and nobody said `--no-progress`. */
  readonly progress: boolean;
  /** Aborted by SIGINT or SIGTERM; long commands end cleanly on it. */
  readonly signal: AbortSignal;
}

export type OutputFormat = 'table' | 'json' | 'csv' | 'ipfix' | 'none';

/** Colours are for people who look and did not say no (no-color.org). */
export const inColour = (context: CliContext): boolean =>
  context.interactive && (process.env.NO_COLOR ?? '') === '';
