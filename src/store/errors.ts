import { defineErrors, messageOf, TidegateError } from '../base/errors.js';

export const storeError = defineErrors({
  TG_STORE_NO_ENGINE: {
    message: 'the embedded ClickHouse engine is not installed: {reason}',
    hint: 'run `npm ci` on Linux x64 or arm64 with glibc, or set store.url to a ClickHouse server',
  },
  TG_STORE_LOCKED: {
    message: 'the data directory {directory} is in use by process {pid}',
    hint: 'stop that gateway, or choose another --data-directory',
  },
  TG_STORE_START: {
    message: 'the embedded ClickHouse engine did not start: {reason}',
    hint: 'see the log, and check the free space and permissions of {directory}',
  },
  TG_STORE_UNREACHABLE: {
    message: 'ClickHouse at {url} does not answer: {reason}',
    hint: 'check store.url, that the server runs, and its user and password',
  },
  TG_STORE_PASSWORD: {
    message: 'ClickHouse at {url} does not know the user {user}, or not with this password',
    hint: 'correct store.user and store.password; records wait in the spool meanwhile',
  },
  TG_STORE_RIGHTS: {
    message: 'the user {user} may not do what Tidegate needs: {reason}',
    hint: 'GRANT ALL ON {database}.* TO {user}; records wait in the spool meanwhile',
  },
  TG_STORE_VERSION: {
    message: 'ClickHouse at {url} is {version}; Tidegate needs {minimum} or newer',
    hint: 'upgrade the server, or leave store.url out to use the embedded engine; records wait in the spool meanwhile',
  },
  TG_STORE_QUERY: {
    message: 'ClickHouse refused the query ({clickhouseCode}): {reason}',
    hint: 'correct the SQL; docs/analytics.md describes the tables',
  },
  TG_STORE_SPOOL_WRITE: {
    message: 'cannot write the spool {directory}: {reason}',
    hint: 'check space and permissions',
  },
});

/** The number of a ClickHouse error in a message of the server, of chDB, or of the client; 0 when there is none. */
export function clickhouseCode(error: unknown): number {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && /^\d+$/.test(code)) return Number(code);
  const match = /Code: (\d+)/.exec(messageOf(error));
  return match ? Number(match[1]) : 0;
}

/** An error of the client as one of ours: unreachable, or refused with ClickHouse's own code. */
export function asStoreError(error: unknown, url: string): TidegateError {
  if (error instanceof TidegateError) return error;
  const code = clickhouseCode(error);
  const reason = messageOf(error).split('\n')[0]!;
  return code === 0
    ? storeError('TG_STORE_UNREACHABLE', { url, reason }, error)
    : storeError('TG_STORE_QUERY', { clickhouseCode: code, reason }, error);
}

/** UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED. */
const STRANGER = new Set([192, 193, 194, 516]);
/** READONLY, DATABASE_ACCESS_DENIED, ACCESS_DENIED. */
const FORBIDDEN = new Set([164, 291, 497]);

/** What keeps Tidegate out of a store, in words that name the setting to correct; other errors as they are. */
export function accessError(error: unknown, access: StoreAccessNames): unknown {
  const code = clickhouseCode((error as Error).cause ?? error);
  if (STRANGER.has(code)) return storeError('TG_STORE_PASSWORD', { ...access }, error);
  const reason = messageOf(error).split('\n')[0]!;
  return FORBIDDEN.has(code) ? storeError('TG_STORE_RIGHTS', { ...access, reason }, error) : error;
}

interface StoreAccessNames {
  readonly url: string;
  readonly user: string;
  readonly database: string;
}
