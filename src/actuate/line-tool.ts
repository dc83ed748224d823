import { type ChildProcess, spawn } from 'node:child_process';
import { actuateError } from './errors.js';

export interface LineToolOptions {
  /** Program and arguments; it reads commands from stdin, line by line, and answers at once. */
  readonly command: readonly [string, ...string[]];
  /** Path of the network namespace to work in; default this process's. */
  readonly netns?: string;
  /** A harmless command whose answer is recognisable: after it, everything before has been answered. */
  readonly marker: (n: number) => { readonly line: string; readonly answer: RegExp };
  /** Finds the first error in an answer. */
  readonly errorIn: (answer: string) => string | undefined;
  /** What the kernel must have, for the error message. */
  readonly needs: string;
}

const ANSWER_TIMEOUT_MS = 5_000;

/**
 * One long-lived child of a configuration tool, fed line by line: a change then costs a system call, not a process
 * start. Commands run in order; `run` resolves when the tool has carried out all of its lines.
 */
export class LineTool {
  readonly #options: LineToolOptions;
  #child: ChildProcess | undefined;
  #output = '';
  #onOutput: (() => void) | undefined;
  #count = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: LineToolOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves with what the tool answered. @throws TG_ACTUATE_TOOL with the first error */
  run(lines: readonly string[]): Promise<string> {
    const answered = this.#queue.then(() => this.#run(lines));
    this.#queue = answered.catch(() => undefined);
    return answered;
  }

  /** Ends the child by its id. A later `run` starts another one. */
  async close(): Promise<void> {
    await this.#queue;
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.stdin?.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 1000);
    await gone;
    clearTimeout(timer);
  }

  async #run(lines: readonly string[]): Promise<string> {
    const child = this.#child ?? this.#start();
    this.#count += 1;
    const marker = this.#options.marker(this.#count);
    this.#output = '';
    child.stdin?.write(`${[...lines, marker.line].join('\n')}\n`);
    const answer = await this.#answered(child, marker.answer, lines[0] ?? '');
    const reason = this.#options.errorIn(answer);
    if (reason !== undefined) throw this.#error(lines.join('; '), reason);
    return answer;
  }

  #answered(child: ChildProcess, marker: RegExp, command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#onOutput = undefined;
        child.off('close', failed);
        child.off('error', failed);
      };
      const failed = (): void => {
        done();
        this.#child = undefined;
        reject(this.#error(command, this.#output.trim() || 'it ended'));
      };
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        this.#output += `no answer for ${ANSWER_TIMEOUT_MS / 1000} s`;
        failed();
      }, ANSWER_TIMEOUT_MS);
      child.once('close', failed);
      child.once('error', failed);
      this.#onOutput = () => {
        const match = marker.exec(this.#output);
        if (match === null) return;
        done();
        resolve(this.#output.slice(0, match.index));
      };
      this.#onOutput();
    });
  }

  #start(): ChildProcess {
    const enter = this.#options.netns === undefined ? [] : ['nsenter', `--net=${this.#options.netns}`];
    // One pipe for answers and errors keeps their order. exec: the shell becomes the tool, one process.
    const [program, ...args] = [...enter, 'sh', '-c', 'exec "$@" 2>&1', 'sh', ...this.#options.command];
    const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
    child.stdout.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString();
      this.#onOutput?.();
    });
    child.stdin.on('error', () => undefined); // told by `close`
    child.on('error', () => undefined);
    child.on('exit', () => {
      if (this.#child === child) this.#child = undefined;
    });
    // It must not keep a process alive that has nothing else to do.
    child.unref();
    this.#child = child;
    return child;
  }

  #error(command: string, reason: string) {
    const { command: tool, needs } = this.#options;
    return actuateError('TG_ACTUATE_TOOL', { tool: tool[0], command, reason, needs });
  }
}

const firstLine = (text: string): string => text.trim().split('\n')[0] ?? '';

/** `tc -batch -`: answers JSON for `show`; classes are shown as text by iproute2 6.1. */
export const tcTool = (netns?: string): LineTool =>
  new LineTool({
    command: ['tc', '-json', '-force', '-batch', '-'],
    ...(netns === undefined ? {} : { netns }),
    marker: (n) => ({
      line: `qdisc show dev tg-mark-${n}`,
      answer: new RegExp(`Cannot find device "tg-mark-${n}"\\s+Command failed -:\\d+\\s`),
    }),
    errorIn: (answer) => (/Command failed -:\d+/.test(answer) ? firstLine(answer) : undefined),
    needs: 'HTB (CONFIG_NET_SCH_HTB) and BPF filters (CONFIG_NET_CLS_BPF)',
  });

/** `nft -i`: a line is one transaction. */
export const nftTool = (netns?: string): LineTool =>
  new LineTool({
    command: ['nft', '-i'],
    ...(netns === undefined ? {} : { netns }),
    marker: (n) => ({
      line: `list table inet tgmark${n}`,
      answer: new RegExp(`Error: [^\\n]*\\nlist table inet tgmark${n}\\s[\\s^~]*\\n`),
    }),
    errorIn: (answer) => (/^Error:/m.test(answer) ? firstLine(answer) : undefined),
    needs: 'nf_tables, conntrack (CONFIG_NF_TABLES, CONFIG_NFT_CT, CONFIG_NFT_NUMGEN)',
  });

/** `ip -batch -` of one address family. */
export const ipTool = (family: '-4' | '-6', netns?: string): LineTool =>
  new LineTool({
    command: ['ip', family, '-force', '-batch', '-'],
    ...(netns === undefined ? {} : { netns }),
    marker: (n) => ({
      line: `link show dev tg-mark-${n}`,
      answer: new RegExp(`Device "tg-mark-${n}" does not exist\\.\\s+Command failed -:\\d+\\s`),
    }),
    errorIn: (answer) => (/Command failed -:\d+/.test(answer) ? firstLine(answer) : undefined),
    needs: 'policy routing (CONFIG_IP_MULTIPLE_TABLES)',
  });
