import { request } from 'node:http';
import { defineErrors, TidegateError } from '../base/errors.js';
import { type DaemonInfo, listDaemons } from '../config/runtime-file.js';

export type { DaemonInfo } from '../config/runtime-file.js';

const fail = defineErrors({
  TG_CLI_NO_GATEWAY: {
    message: 'no running gateway{which}',
    hint: 'start one with `tidegate lab` or `tidegate run`, as the same user',
  },
  TG_CLI_WHICH_GATEWAY: {
    message: 'several gateways run here: {names}',
    hint: 'name one with --gateway',
    exitCode: 2,
  },
  TG_CLI_GATEWAY_ANSWER: {
    message: 'the gateway {gateway} answered {answer}',
    hint: 'see its log',
  },
});

/** The running gateway, by name or the only one; `undefined` when there is none. */
export async function findDaemon(
  options: { gateway?: string | undefined } = {},
): Promise<DaemonInfo | undefined> {
  const all = listDaemons();
  if (options.gateway !== undefined) return all.find((info) => info.gateway === options.gateway);
  if (all.length > 1) throw fail('TG_CLI_WHICH_GATEWAY', { names: all.map((i) => i.gateway).join(', ') });
  return all[0];
}

/** Like {@link findDaemon}, but none running is an error that says what to do. */
export async function requireDaemon(options: { gateway?: string | undefined } = {}): Promise<DaemonInfo> {
  const info = await findDaemon(options);
  if (info === undefined) {
    throw fail('TG_CLI_NO_GATEWAY', {
      which: options.gateway === undefined ? '' : ` named ${options.gateway}`,
    });
  }
  return info;
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

const isRefusal = (answer: unknown): answer is Refusal =>
  typeof answer === 'object' &&
  answer !== null &&
  'code' in answer &&
  'message' in answer &&
  'hint' in answer;

/** Exit codes as in the man page: a request that is none, a plan that was refused, and the rest. */
const EXIT_CODES: Readonly<Record<number, number>> = { 400: 2, 404: 2, 409: 4 };

const refusalOf = ({ code, message, hint }: Refusal, status = 500): TidegateError =>
  new TidegateError(code, message, hint, {}, EXIT_CODES[status] ?? 1, status);

/**
 * One request on the gateway's own socket: a GET, or with a body a POST. What the API refuses is thrown as its own error.
 * @throws TG_CLI_GATEWAY_ANSWER, and what the gateway says
 */
export function askDaemon<T>(info: DaemonInfo, path: string, body?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath: info.api.socket,
        path,
        method: body === undefined ? 'GET' : 'POST',
        timeout: 60_000,
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' } }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          let answer: unknown;
          try {
            answer = JSON.parse(text);
          } catch {
            answer = undefined;
          }
          if (response.statusCode === 200 && answer !== undefined) resolve(answer as T);
          else if (isRefusal(answer)) reject(refusalOf(answer, response.statusCode));
          else
            reject(
              fail('TG_CLI_GATEWAY_ANSWER', {
                gateway: info.gateway,
                answer: `${response.statusCode} ${text}`,
              }),
            );
        });
      },
    );
    call.on('timeout', () =>
      call.destroy(fail('TG_CLI_GATEWAY_ANSWER', { gateway: info.gateway, answer: 'nothing' })),
    );
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
