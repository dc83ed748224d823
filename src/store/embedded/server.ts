/**
 * The embedded ClickHouse: a child process that owns one chDB data directory and answers the ClickHouse HTTP protocol
 * on loopback and on a unix socket. One session a request, so settings and parameters of one query never reach
 * another. Runs as a process of its own because a thread that loaded chDB takes the whole engine down when it ends.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, createWriteStream, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Session } from 'chdb';
import { messageOf } from '../../base/errors.js';
import { loadAddon } from '../../capture/addon.js';
import { keepOnly } from '../../capture/privileges.js';
import {
  BUFFERED,
  codeOf,
  contentType,
  exceptionTrailer,
  HttpError,
  header,
  newExceptionTag,
  quoted,
  readText,
  statusOf,
  wordsOf,
} from './protocol.js';
import { authenticate, type EngineUser, refuseToReader } from './rights.js';
import { Sessions } from './sessions.js';
import { readStatement, type Statement, splitSettings } from './statement.js';

/** What the parent passes in the environment variable TIDEGATE_ENGINE. */
export interface EngineOptions {
  readonly directory: string;
  readonly port: number;
  readonly users: readonly EngineUser[];
  readonly maxMemoryBytes: number;
  /** Queries of readers that may run at once; writers are never kept waiting by them. */
  readonly maxReaders: number;
}

/** Measuring goes before storing: what the engine is late with waits in the spool. */
const NICENESS = 5;

// Before the engine is loaded: the threads that it starts inherit this.
setPriority(NICENESS);
const options = JSON.parse(process.env.TIDEGATE_ENGINE ?? '{}') as EngineOptions;
giveUpPrivileges();
const sessions = new Sessions(options.directory, options.maxMemoryBytes);
const bodies = join(options.directory, 'http');
// Bodies of requests that an earlier process did not finish; their senders were never told that they arrived.
rmSync(bodies, { recursive: true, force: true });
mkdirSync(bodies, { recursive: true, mode: 0o700 });
let readers = 0;

/** An engine reads and writes its directory and answers on loopback: it needs no capability for that. */
function giveUpPrivileges(): void {
  const foreign = process.geteuid?.() === 0 && statSync(options.directory).uid !== 0;
  try {
    keepOnly(loadAddon(), foreign ? ['CAP_DAC_OVERRIDE'] : []);
  } catch (error) {
    process.stderr.write(`capabilities are kept: ${messageOf(error)}\n`);
  }
}

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
  const tag = newExceptionTag();
  response.setHeader('X-ClickHouse-Exception-Tag', tag);
  async function* all(): AsyncGenerator<Uint8Array> {
    if (first.done) return;
    yield first.value;
    try {
      yield* chunks;
    } catch (error) {
      yield exceptionTrailer(error, tag);
    }
  }
  if (gzip) {
    response.setHeader('Content-Encoding', 'gzip');
    await pipeline(all, createGzip({ level: 1 }), response);
  } else {
    await pipeline(all, response);
  }
}

/** Runs one statement of a session and sends what comes of it. */
async function execute(
  session: Session,
  statement: Statement,
  text: string,
  body: IncomingMessage | undefined,
  [response, format, gzip]: readonly [ServerResponse, string, boolean],
): Promise<void> {
  if (statement.kind === 'insert' && statement.format !== undefined && body !== undefined) {
    await insert(session, statement, body);
    response.end();
  } else {
    await send(response, gzip, resultOf(session, statement, text, format));
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const user = authenticate(request, url, options.users);
  if (url.searchParams.get('compress') === '1' || url.searchParams.get('decompress') === '1') {
    throw new HttpError(48, "ClickHouse's own compressed blocks are not spoken here. (NOT_IMPLEMENTED)");
  }
  const inUrl = url.searchParams.get('query');
  const text = inUrl ?? (await readText(request));
  const statement = readStatement(text);
  const queryId = url.searchParams.get('query_id') ?? randomUUID();
  const format =
    statement.format ??
    header(request, 'x-clickhouse-format') ??
    url.searchParams.get('default_format') ??
    'TabSeparated';
  if (user.readonly) {
    refuseToReader(text, user);
    if (readers >= options.maxReaders) {
      throw new HttpError(
        202,
        `Too many simultaneous queries of readers. Maximum: ${options.maxReaders}. (TOO_MANY_SIMULTANEOUS_QUERIES)`,
      );
    }
  }
  response.setHeader('X-ClickHouse-Query-Id', queryId);
  response.setHeader('X-ClickHouse-Timezone', 'UTC');
  response.setHeader('X-ClickHouse-Server-Display-Name', 'tidegate');
  response.setHeader('X-ClickHouse-Format', format);
  response.setHeader('X-ClickHouse-Summary', '{}');
  response.setHeader('Content-Type', contentType(format));
  const gzip =
    url.searchParams.get('enable_http_compression') === '1' &&
    /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  const tag = `${queryId}/${randomUUID()}`;
  const { session, done } = sessions.forRequest(url, user, tag);
  // Whoever hangs up wants no answer. An INSERT that arrived whole runs on: its sender will ask again with its token.
  const hangUp = (): void => {
    if (!response.writableFinished && statement.kind !== 'insert') void sessions.kill(tag);
  };
  response.once('close', hangUp);
  readers += user.readonly ? 1 : 0;
  try {
    const body = inUrl === null ? undefined : request;
    await execute(session, statement, text, body, [response, format, gzip]);
  } finally {
    readers -= user.readonly ? 1 : 0;
    response.off('close', hangUp);
    done();
  }
}

function failWith(response: ServerResponse, error: unknown): void {
  const code = codeOf(error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.removeHeader('Content-Encoding');
  response.statusCode = statusOf(code);
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  response.setHeader('X-ClickHouse-Exception-Code', String(code));
  response.end(wordsOf(error));
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const asks = url.searchParams.has('query') || request.method === 'POST';
  if (url.pathname === '/ping' || (url.pathname === '/' && !asks)) {
    request.resume();
    response.end('Ok.\n');
    return;
  }
  answer(request, response, url).catch((error: unknown) => failWith(response, error));
}

// Opening the directory once shows a lock or damage before anybody connects, and keeps the engine up between requests.
const keeper = sessions.plain();
keeper.query('SELECT 1');
const servers: Server[] = [createServer(handle), createServer(handle)];
for (const server of servers) server.keepAliveTimeout = 30_000;
const [tcp, local] = servers as [Server, Server];
const socket = join(options.directory, 'http.sock');
rmSync(socket, { force: true });
local.on('error', (error) => process.stderr.write(`no unix socket: ${error.message}\n`));
local.listen(socket, () => chmodSync(socket, 0o600));
tcp.listen(options.port, '127.0.0.1', () => {
  const address = tcp.address();
  process.send?.({ ready: true, port: typeof address === 'object' && address ? address.port : options.port });
});

function stop(): void {
  local.close();
  // What was acknowledged is on disk. chDB's exit handlers can wait for ever for a merge under way (seen with 26.7), so
  // the process leaves without them.
  tcp.close(() => process.kill(process.pid, 'SIGKILL'));
  for (const server of servers) {
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 2_000).unref();
  }
}
process.on('SIGTERM', stop);
// Ctrl-C reaches the whole process group; the parent decides when the store may go.
process.on('SIGINT', () => {});
// Without its parent nobody could reach or stop the engine.
process.on('disconnect', stop);
