import type { IncomingMessage } from 'node:http';

/** A refusal that leaves as ClickHouse words it: HTTP status, `Code: N. DB::Exception: …`. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
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

/** HTTP status of a ClickHouse error, as the server maps them. */
export function statusOf(code: number): number {
  if ([47, 60, 81].includes(code)) return 404;
  if ([62, 36, 53, 46, 115].includes(code)) return 400;
  return code === 159 ? 408 : 500;
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
