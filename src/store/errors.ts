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
  TG_STORE_QUERY: {
    message: 'ClickHouse refused the query ({clickhouseCode}): {reason}',
    hint: 'correct the SQL; docs/analytics.md describes the tables',
  },
  TG_STORE_SPOOL_FULL: {
    message: 'the spool {directory} is full ({bytes} bytes)',
    hint: 'bring ClickHouse back, or raise store.spoolLimit',
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
