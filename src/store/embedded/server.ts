/**
 * The embedded ClickHouse: a child process that owns one chDB data directory and answers the ClickHouse HTTP protocol
 * on loopback. One session a request, so settings and parameters of one query never reach another. Runs as a process
 * of its own because a thread that loaded chDB takes the whole engine down when it ends.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Session } from 'chdb';
import { readStatement, type Statement, settingLiteral, splitSettings } from './statement.js';

/** What the parent passes in the environment variable TIDEGATE_ENGINE. */
export interface EngineOptions {
  readonly directory: string;
  readonly port: number;
  readonly users: readonly { readonly name: string; readonly password: string; readonly readonly: boolean }[];
  readonly maxMemoryBytes: number;
}

type ChdbModule = { Session: new (path: string) => Session };
type User = EngineOptions['users'][number];

const options = JSON.parse(process.env.TIDEGATE_ENGINE ?? '{}') as EngineOptions;
const { Session: ChdbSession } = createRequire(import.meta.url)('chdb') as ChdbModule;
const bodies = join(options.directory, 'http');
const dataDirectory = join(options.directory, 'chdb');
mkdirSync(bodies, { recursive: true });
mkdirSync(dataDirectory, { recursive: true });

/** Formats whose framing needs the whole result; the others are streamed. */
const BUFFERED =
  /^(JSON|JSONCompact|JSONStrings|JSONColumns.*|Pretty.*|Vertical|Arrow|ArrowStream|Parquet|ORC|XML|Markdown)$/;
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONEachRow: 'application/x-ndjson; charset=UTF-8',
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  TabSeparated: 'text/tab-separated-values; charset=UTF-8',
};
const NOT_SETTINGS = new Set([
  ...['query', 'database', 'query_id', 'session_id', 'session_timeout', 'session_check', 'user', 'password'],
  ...[
    'default_format',
    'compress',
    'decompress',
    'enable_http_compression',
    'wait_end_of_query',
    'role',
    'quota_key',
  ],
  ...['send_progress_in_http_headers', 'http_headers_progress_interval_ms', 'buffer_size', 'stacktrace'],
]);

class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly code: number,
    message: string,
  ) {
    super(`Code: ${code}. DB::Exception: ${message}`);
  }
}

const same = (a: string, b: string): boolean => {
  const x = Buffer.from(a);
  const y = Buffer.from(b);
  return x.length === y.length && timingSafeEqual(x, y);
};

function authenticate(request: IncomingMessage, url: URL): User {
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '');
  const [name, ...rest] = basic ? Buffer.from(basic[1]!, 'base64').toString('utf8').split(':') : [];
  const user = name ?? header(request, 'x-clickhouse-user') ?? url.searchParams.get('user') ?? 'default';
  const password = basic
    ? rest.join(':')
    : (header(request, 'x-clickhouse-key') ?? url.searchParams.get('password') ?? '');
  const found = options.users.find((candidate) => candidate.name === user);
  if (!found || !same(found.password, password)) {
    throw new HttpError(
      403,
      516,
      `${user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
    );
  }
  return found;
}

const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** A fresh session with the request's database, settings, parameters and rights. */
function openSession(url: URL, user: User, queryId: string): Session {
  const session = new ChdbSession(dataDirectory);
  try {
    const database = url.searchParams.get('database');
    if (database !== null && database !== 'default' && database !== '') {
      session.query(`USE \`${database.replaceAll('`', '')}\``);
    }
    session.query(`SET max_memory_usage = ${Math.floor(options.maxMemoryBytes * 0.8)}, async_insert = 0`);
    for (const [name, value] of url.searchParams) {
      if (name.startsWith('param_')) {
        session.query(`SET ${name} = ${quoted(value)}`);
      } else if (!NOT_SETTINGS.has(name)) {
        if (!/^[a-z_0-9]+$/i.test(name))
          throw new HttpError(400, 115, `Unknown setting ${name}. (UNKNOWN_SETTING)`);
        session.query(`SET ${name} = ${settingLiteral(value)}`);
      }
    }
    if (user.readonly) session.query('SET readonly = 1');
    void queryId;
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

const FORBIDDEN_TO_READERS = /\b(file|url|s3|remote|executable|input|mysql|postgresql|INFILE|OUTFILE)\s*\(?/i;

async function insert(session: Session, statement: Statement, request: IncomingMessage): Promise<void> {
  const encoding = request.headers['content-encoding'];
  const suffix = encoding === 'gzip' ? '.gz' : encoding === 'zstd' ? '.zst' : '';
  const file = join(bodies, `${randomUUID()}${suffix}`);
  try {
    await pipeline(request, createWriteStream(file));
    // A server takes SETTINGS before FORMAT; with INFILE they stand after the file.
    const [head, settings] = splitSettings(statement.sql);
    await session.queryAsync(`${head} FROM INFILE ${quoted(file)} ${settings} FORMAT ${statement.format}`);
  } finally {
    rmSync(file, { force: true });
  }
}

/** The result in chunks: streamed where the format allows, in one piece where it does not. */
async function* resultOf(
  session: Session,
  statement: Statement,
  text: string,
  format: string,
): AsyncGenerator<Uint8Array> {
  if (statement.kind === 'select' && !BUFFERED.test(format)) {
    for await (const chunk of session.queryStream(statement.sql, { format })) yield chunk.raw();
  } else {
    yield (await session.queryAsync(statement.kind === 'insert' ? text : statement.sql, { format })).bytes();
  }
}

/**
 * Sends chunks as they come. The first one is waited for before anything is sent, because it decides whether this is
 * an answer or an error with a status of its own.
 */
async function send(
  response: ServerResponse,
  gzip: boolean,
  chunks: AsyncGenerator<Uint8Array>,
): Promise<void> {
  const first = await chunks.next();
  async function* all(): AsyncGenerator<Uint8Array> {
    if (!first.done) yield first.value;
    yield* chunks;
  }
  if (gzip) {
    response.setHeader('Content-Encoding', 'gzip');
    await pipeline(all, createGzip({ level: 1 }), response);
  } else {
    await pipeline(all, response);
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const user = authenticate(request, url);
  const inUrl = url.searchParams.get('query');
  const text = inUrl ?? (await readText(request));
  const statement = readStatement(text);
  const queryId = url.searchParams.get('query_id') ?? randomUUID();
  const format =
    statement.format ??
    header(request, 'x-clickhouse-format') ??
    url.searchParams.get('default_format') ??
    'TabSeparated';
  if (user.readonly && FORBIDDEN_TO_READERS.test(statement.sql)) {
    throw new HttpError(
      403,
      497,
      `${user.name}: Not enough privileges: reading from outside the store. (ACCESS_DENIED)`,
    );
  }
  const session = openSession(url, user, queryId);
  try {
    response.setHeader('X-ClickHouse-Query-Id', queryId);
    response.setHeader('X-ClickHouse-Timezone', 'UTC');
    response.setHeader('X-ClickHouse-Server-Display-Name', 'tidegate');
    response.setHeader('X-ClickHouse-Format', format);
    response.setHeader('Content-Type', CONTENT_TYPES[format] ?? 'text/plain; charset=UTF-8');
    if (statement.kind === 'insert' && statement.format !== undefined && inUrl !== null) {
      await insert(session, statement, request);
      response.setHeader('X-ClickHouse-Summary', '{}');
      response.end();
      return;
    }
    const gzip =
      url.searchParams.get('enable_http_compression') === '1' &&
      /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
    await send(response, gzip, resultOf(session, statement, text, format));
  } finally {
    session.close();
  }
}

function failWith(response: ServerResponse, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const code = Number(/Code: (\d+)/.exec(message)?.[1] ?? 1001);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.removeHeader('Content-Encoding');
  response.statusCode =
    error instanceof HttpError ? error.status : [60, 81].includes(code) ? 404 : code === 241 ? 500 : 500;
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  response.setHeader('X-ClickHouse-Exception-Code', String(code));
  response.end(`${message.slice(Math.max(0, message.indexOf('Code: ')))}\n`);
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (
    url.pathname === '/ping' ||
    (request.method === 'GET' && url.pathname === '/' && !url.searchParams.has('query'))
  ) {
    request.resume();
    response.end('Ok.\n');
    return;
  }
  answer(request, response, url).catch((error: unknown) => failWith(response, error));
});
server.keepAliveTimeout = 30_000;

// Opening the directory once shows a lock or damage before anybody connects, and keeps the engine up between requests.
const keeper = new ChdbSession(dataDirectory);
keeper.query('SELECT 1');
server.listen(options.port, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ ready: true, port: typeof address === 'object' && address ? address.port : options.port });
});

function stop(): void {
  server.close(() => {
    keeper.close();
    process.exit(0);
  });
  server.closeIdleConnections();
  setTimeout(() => server.closeAllConnections(), 2_000).unref();
}
process.on('SIGTERM', stop);
// Ctrl-C reaches the whole process group; the parent decides when the store may go.
process.on('SIGINT', () => {});
// Without its parent nobody could reach or stop the engine.
process.on('disconnect', stop);
