import { z } from 'zod';
import { messageOf } from '../base/errors.js';
import { usageError } from './errors.js';

/** Regular values in time; NaN = not known. The shape that forecasts take. */
export interface RegularSeries {
  readonly startMs: number;
  readonly stepMs: number;
  readonly values: Float64Array;
}

export interface LabelledSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly series: RegularSeries;
}

export interface PrometheusOptions {
  /** Root of the HTTP API, e.g. `http://127.0.0.1:9090`; a path in it is kept. */
  readonly url: string;
  readonly bearerToken?: string;
  readonly user?: string;
  readonly password?: string;
  /** For one request. Default 30 s. */
  readonly timeoutMs?: number;
  /** Points per series and request; Prometheus refuses more than 11,000. Default 10,000. */
  readonly maximumPoints?: number;
}

const MATRIX = z.object({
  resultType: z.literal('matrix'),
  result: z.array(
    z.object({
      metric: z.record(z.string(), z.string()),
      values: z.array(z.tuple([z.number(), z.string()])),
    }),
  ),
});
const ANSWER = z.discriminatedUnion('status', [
  z.object({ status: z.literal('success'), data: MATRIX }),
  z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() }),
]);

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_POINTS = 10_000;
const NUMBERS: Readonly<Record<string, number>> = { '+Inf': Number.POSITIVE_INFINITY, '-Inf': -Infinity };

/** `{b="2",a="1"}` in one order: the same series in every chunk has the same key. */
const keyOf = (labels: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));

/**
 * Range queries of the Prometheus HTTP API (prometheus.io/docs/prometheus/latest/querying/api), which Thanos,
 * Mimir and VictoriaMetrics speak too.
 */
export class PrometheusClient {
  readonly #options: PrometheusOptions;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(options: PrometheusOptions) {
    this.#options = options;
    const { bearerToken, user, password } = options;
    this.#headers =
      bearerToken !== undefined
        ? { authorization: `Bearer ${bearerToken}` }
        : user !== undefined
          ? { authorization: `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}` }
          : {};
  }

  /**
   * Evaluates `query` at `fromMs`, `fromMs + stepMs`, … before `untilMs`, in as many requests as the server's limit
   * on points asks for. Steps without a value are NaN, not 0; infinite values are unknown too.
   *
   * @param fromMs Unix time, a whole number of ms
   * @throws TG_USAGE_UNREACHABLE, TG_USAGE_QUERY, TG_USAGE_ANSWER
   */
  async range(query: string, fromMs: number, untilMs: number, stepMs: number): Promise<LabelledSeries[]> {
    const steps = Math.max(0, Math.ceil((untilMs - fromMs) / stepMs));
    const found = new Map<string, LabelledSeries>();
    const chunk = this.#options.maximumPoints ?? DEFAULT_POINTS;
    for (let first = 0; first < steps; first += chunk) {
      const last = Math.min(steps, first + chunk) - 1;
      const matrix = await this.#ask(query, fromMs + first * stepMs, fromMs + last * stepMs, stepMs);
      for (const { metric, values } of matrix.result) {
        const key = keyOf(metric);
        let entry = found.get(key);
        if (entry === undefined) {
          const empty = new Float64Array(steps).fill(Number.NaN);
          entry = { labels: metric, series: { startMs: fromMs, stepMs, values: empty } };
          found.set(key, entry);
        }
        for (const [seconds, text] of values) {
          const step = Math.round((seconds * 1000 - fromMs) / stepMs);
          const value = NUMBERS[text] ?? Number(text);
          if (step >= 0 && step < steps && Number.isFinite(value)) entry.series.values[step] = value;
        }
      }
    }
    return [...found.values()];
  }

  async #ask(query: string, fromMs: number, toMs: number, stepMs: number): Promise<z.infer<typeof MATRIX>> {
    const { url, timeoutMs } = this.#options;
    const form = new URLSearchParams({
      query,
      start: (fromMs / 1000).toFixed(3),
      end: (toMs / 1000).toFixed(3),
      step: (stepMs / 1000).toFixed(3),
    });
    let status: number;
    let text: string;
    try {
      const response = await fetch(new URL('api/v1/query_range', url.endsWith('/') ? url : `${url}/`), {
        method: 'POST',
        headers: { ...this.#headers, 'content-type': 'application/x-www-form-urlencoded' },
        body: form.toString(),
        signal: AbortSignal.timeout(timeoutMs ?? DEFAULT_TIMEOUT_MS),
      });
      status = response.status;
      text = await response.text();
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw usageError('TG_USAGE_UNREACHABLE', { url, reason: messageOf(cause) }, error);
    }
    if (status === 401 || status === 403)
      throw usageError('TG_USAGE_UNREACHABLE', { url, reason: `it answered ${status}` });
    let answer: z.infer<typeof ANSWER>;
    try {
      answer = ANSWER.parse(JSON.parse(text));
    } catch (error) {
      throw usageError('TG_USAGE_ANSWER', { url, reason: `${status} ${text.slice(0, 120)}` }, error);
    }
    if (answer.status === 'error')
      throw usageError('TG_USAGE_QUERY', { query, reason: `${answer.errorType}: ${answer.error}` });
    return answer.data;
  }
}
