import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** A refusal that leaves as ClickHouse words it: HTTP status, `Code: N. DB::Exception: …`. */
export class HttpError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(`Code: ${code}. DB::Exception: ${message}`);
  }
}

/** Formats whose framing needs the whole result; the others are streamed. */
export const BUFFERED =
  /^(JSON|JSONCompact|JSONStrings|JSONColumns.*|Pretty.*|Vertical|Arrow|ArrowStream|Parquet|ORC|XML|Markdown)$/;

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONEachRow: 'application/x-ndjson; charset=UTF-8',
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  TabSeparated: 'text/tab-separated-values; charset=UTF-8',
  Native: 'application/octet-stream',
  Parquet: 'application/octet-stream',
};

export const contentType = (format: string): string => CONTENT_TYPES[format] ?? 'text/plain; charset=UTF-8';

/** Parameters of the HTTP interface that are not settings of a query. */
export const NOT_SETTINGS: ReadonlySet<string> = new Set([
  'query',
  'database',
  'query_id',
  'session_id',
  'session_timeout',
  'session_check',
  'user',
  'password',
  'default_format',
  'compress',
  'decompress',
  'enable_http_compression',
  'wait_end_of_query',
  'role',
  'quota_key',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'buffer_size',
  'stacktrace',
  'client_protocol_version',
]);

/** HTTP status by ClickHouse's error, as the server has it (`exceptionCodeToHTTPStatus`). */
const STATUSES: ReadonlyMap<number, number> = new Map(
  (
    [
      [401, [194]],
      [403, [192, 193, 497, 512, 516]],
      [
        400,
        [6, 8, 15, 25, 26, 27, 36, 38, 41, 44, 53, 62, 72, 117, 167, 168, 223, 321, 376, 427, 441, 675, 676],
      ],
      [404, [46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 511]],
      [408, [159]],
      [501, [48]],
      [503, [76, 209, 439]],
    ] as const
  ).flatMap(([status, codes]) => codes.map((code) => [code, status] as const)),
);

export const statusOf = (code: number): number => STATUSES.get(code) ?? 500;

/** The number in an error's words; 1001, STD_EXCEPTION, for what is none of ClickHouse's. */
export const codeOf = (error: unknown): number =>
  Number(/Code: (\d+)/.exec(error instanceof Error ? error.message : String(error))?.[1] ?? 1001);

/** An error's words as a server writes them: from its code on. */
export function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `${message.slice(Math.max(0, message.indexOf('Code: '))).trimEnd()}\n`;
}

/** What parts an answer from the error that ended it. */
export const newExceptionTag = (): string => randomBytes(8).toString('hex');

/**
 * The end of an answer that an error cut off after its first rows, as servers have written it since 25.11. Clients that know
 * the header X-ClickHouse-Exception-Tag find it; for the others the answer does not parse to its end.
 */
export function exceptionTrailer(error: unknown, tag: string): Buffer {
  const words = wordsOf(error);
  return Buffer.from(
    `\r\n__exception__\r\n${tag}\r\n${words}${Buffer.byteLength(words)} ${tag}\r\n__exception__\r\n`,
    'utf8',
  );
}

export const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

export async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** A string literal of ClickHouse's SQL. */
export const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
