import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { HttpError, header } from './protocol.js';

export interface EngineUser {
  readonly name: string;
  readonly password: string;
  readonly readonly: boolean;
}

const same = (a: string, b: string): boolean => {
  const x = Buffer.from(a);
  const y = Buffer.from(b);
  return x.length === y.length && timingSafeEqual(x, y);
};

/** Who asks, by any of the three ways in which ClickHouse takes a name and a password. */
export function authenticate(request: IncomingMessage, url: URL, users: readonly EngineUser[]): EngineUser {
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '');
  const [name, ...rest] = basic ? Buffer.from(basic[1]!, 'base64').toString('utf8').split(':') : [];
  const user = name ?? header(request, 'x-clickhouse-user') ?? url.searchParams.get('user') ?? 'default';
  const password = basic
    ? rest.join(':')
    : (header(request, 'x-clickhouse-key') ?? url.searchParams.get('password') ?? '');
  const found = users.find((candidate) => candidate.name === user);
  if (!found || !same(found.password, password)) {
    throw new HttpError(
      516,
      `${user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
    );
  }
  return found;
}

const LITERALS_AND_COMMENTS = /'(?:[^'\\]|\\[\s\S]|'')*'|--[^\n]*|#[!\x20][^\n]*|\/\*[\s\S]*?\*\//g;
const READING = /^[\s(]*(?:select|with|from|show|describe|desc|explain|exists)\b/i;
/** How other statements begin. */
const OTHER =
  /^[\s(]*(?:insert|create|alter|drop|undrop|truncate|rename|exchange|attach|detach|delete|update|optimize|check|kill|system|set|use|grant|revoke|backup|restore|begin|commit|rollback|watch|move|copy|execute|parallel|call)\b/i;
const BEYOND_THE_STORE = /[`"]?\b(?:file|eval|viewExplain)\b[`"]?\s*\(|\binto\s+outfile\b/i;

/**
 * What `readonly = 1` leaves open in an engine that has no users of its own: reading the host's files by the function
 * `file`, writing them by INTO OUTFILE, and ending other people's queries. Words inside string literals and comments
 * do not count.
 *
 * @throws HttpError 62 SYNTAX_ERROR, 164 READONLY, 497 ACCESS_DENIED
 */
export function refuseToReader(sql: string, user: EngineUser): void {
  const bare = sql.replace(LITERALS_AND_COMMENTS, ' ');
  if (!READING.test(bare) && !OTHER.test(bare)) {
    throw new HttpError(
      62,
      `Syntax error: failed at position 1: ${sql.trim().slice(0, 60)}. Expected a query. (SYNTAX_ERROR)`,
    );
  }
  if (!READING.test(bare)) {
    throw new HttpError(164, `${user.name}: Cannot execute query in readonly mode. (READONLY)`);
  }
  if (BEYOND_THE_STORE.test(bare)) {
    throw new HttpError(
      497,
      `${user.name}: Not enough privileges: reading from outside the store. (ACCESS_DENIED)`,
    );
  }
}
