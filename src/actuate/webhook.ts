import { createHmac } from 'node:crypto';
import { messageOf } from '../base/errors.js';
import type { JsonValue } from './actuator.js';
import { actuateError } from './errors.js';
import { RememberingActuator } from './remembering-actuator.js';
import { allocationRequest, refusalIn } from './request.js';

export interface WebhookOptions {
  readonly url: string;
  /** Key of the signature, shared with the receiver. */
  readonly secret: string;
  /** Name of this gateway, in the event's source. */
  readonly gateway: string;
  /** For one attempt. Default 10 s. */
  readonly timeoutMs?: number;
  /** Attempts after the first one. Default 4. */
  readonly retries?: number;
  /** Wait before the first retry, doubled for each further one. Default 500 ms. */
  readonly backOffMs?: number;
  readonly now?: () => number;
}

/** Longest that a receiver may ask to wait with Retry-After. */
const MAX_WAIT_MS = 60_000;

/** `t=<unix s>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`: the time is signed too, so that old requests can be told. */
export const signatureOf = (secret: string, unixSeconds: number, body: string): string =>
  `t=${unixSeconds},v1=${createHmac('sha256', secret).update(`${unixSeconds}.${body}`).digest('hex')}`;

/**
 * Asks a receiver for each allocation: a CloudEvent by POST, signed, with an idempotency key that stays the same over
 * retries, so that a request which arrives twice is one request. Retried: no connection, timeout, 408, 425, 429, 5xx
 * (after Retry-After if given). Any other answer but 2xx, and `{"accepted": false}`, is a refusal.
 */
export class WebhookActuator extends RememberingActuator {
  readonly name = 'webhook';
  readonly #options: WebhookOptions;

  constructor(options: WebhookOptions) {
    super(options.now);
    this.#options = options;
  }

  protected override async tell(target: string, value: JsonValue, id: string): Promise<void> {
    const { gateway, retries = 4, backOffMs = 500 } = this.#options;
    const body = JSON.stringify(allocationRequest(gateway, target, value, id, this.now()));
    for (let attempt = 0; ; attempt += 1) {
      const { done, reason, waitMs } = await this.#attempt(body, id);
      if (done && reason === undefined) return;
      if (done || attempt >= retries)
        throw actuateError('TG_ACTUATE_REMOTE', {
          actuator: this.name,
          url: this.#options.url,
          reason: `${reason}${done ? '' : `, ${attempt + 1} attempts`}`,
        });
      const wait = Math.min(MAX_WAIT_MS, waitMs ?? backOffMs * 2 ** attempt);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  async #attempt(body: string, id: string): Promise<{ done: boolean; reason?: string; waitMs?: number }> {
    const { url, secret, timeoutMs = 10_000 } = this.#options;
    try {
      const response = await fetch(url, {
        method: 'POST',
        redirect: 'error', // a signed request goes where the operator said, nowhere else
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'content-type': 'application/cloudevents+json; charset=utf-8',
          // What else comes on this connection answers nothing: it is no answer to the next request.
          connection: 'close',
          'idempotency-key': id,
          'tidegate-signature': signatureOf(secret, Math.floor(this.now() / 1000), body),
        },
        body,
      });
      const answer = await response.text();
      if (response.ok) {
        const reason = refusalIn(answer);
        return reason === undefined ? { done: true } : { done: true, reason };
      }
      const reason = `answered ${response.status}${answer ? ` "${answer.trim().slice(0, 80)}"` : ''}`;
      if (response.status < 500 && ![408, 425, 429].includes(response.status)) return { done: true, reason };
      const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
      return Number.isFinite(seconds)
        ? { done: false, reason, waitMs: seconds * 1000 }
        : { done: false, reason };
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      return { done: false, reason: `cannot be reached (${messageOf(cause)})` };
    }
  }
}
