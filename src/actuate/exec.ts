import { spawn } from 'node:child_process';
import type { JsonValue } from './actuator.js';
import { actuateError } from './errors.js';
import { RememberingActuator } from './remembering-actuator.js';
import { allocationRequest, refusalIn } from './request.js';

export interface ExecOptions {
  /** Program and arguments; no shell is involved. */
  readonly command: readonly [string, ...string[]];
  readonly gateway: string;
  /** After this the program is killed. Default 30 s. */
  readonly timeoutMs?: number;
  readonly now?: () => number;
}

const MAX_OUTPUT = 65_536;

/**
 * Asks a program for each allocation: the same event as the webhook's, on stdin. Exit status 0 with nothing or
 * `{"accepted": true}` on stdout accepts; anything else refuses, with the reason from stdout or stderr.
 */
export class ExecActuator extends RememberingActuator {
  readonly name = 'exec';
  readonly #options: ExecOptions;

  constructor(options: ExecOptions) {
    super(options.now);
    this.#options = options;
  }

  protected override async tell(target: string, value: JsonValue, id: string): Promise<void> {
    const { command, gateway } = this.#options;
    const { status, stdout, stderr } = await this.#run(
      JSON.stringify(allocationRequest(gateway, target, value, id, this.now())),
    );
    const reason =
      status === 'status 0'
        ? refusalIn(stdout)
        : `ended with ${status}${stderr.trim() ? `: ${stderr.trim().slice(-200)}` : ''}`;
    if (reason !== undefined)
      throw actuateError('TG_ACTUATE_REMOTE', { actuator: this.name, url: command[0], reason });
  }

  #run(input: string): Promise<{ status: string; stdout: string; stderr: string }> {
    const { command, timeoutMs = 30_000 } = this.#options;
    const [program, ...args] = command;
    return new Promise((resolve) => {
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
      let stdout = '';
      let stderr = '';
      let timedOut = false;
      const timer = setTimeout(() => {
        timedOut = true;
        child.kill('SIGKILL');
      }, timeoutMs);
      child.stdout.on('data', (chunk: Buffer) => {
        stdout = (stdout + chunk).slice(0, MAX_OUTPUT);
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr = (stderr + chunk).slice(-MAX_OUTPUT);
      });
      child.stdin.on('error', () => undefined); // a program need not read its input
      const end = (status: string): void => {
        clearTimeout(timer);
        resolve({ status, stdout, stderr });
      };
      child.on('error', (error) => end(`"${error.message}"`));
      child.on('close', (code, signal) =>
        end(
          timedOut ? `no answer after ${timeoutMs / 1000} s` : signal ? `signal ${signal}` : `status ${code}`,
        ),
      );
      child.stdin.end(input);
    });
  }
}
