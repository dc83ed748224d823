import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

const TOOL_MS = 5_000;

/** The text of a file, or nothing where there is none. */
export function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** What a tool says on stdout; nothing when it is missing, fails, or takes too long. */
export const outputOf = (tool: string, ...options: readonly string[]): Promise<string | undefined> =>
  new Promise((resolve) => {
    execFile(
      tool,
      [...options],
      { timeout: TOOL_MS, env: { ...process.env, LC_ALL: 'C' } },
      (error, stdout) => resolve(error === null ? stdout : undefined),
    );
  });
