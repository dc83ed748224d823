import type { Session } from 'chdb';
import { HttpError } from './protocol.js';

interface Kept {
  readonly session: Session;
  busy: boolean;
  expiry: NodeJS.Timeout | undefined;
}

/** As a server's `default_session_timeout` and `max_session_timeout`, in seconds. */
const DEFAULT_SECONDS = 60;
const LONGEST_SECONDS = 3600;

/**
 * Sessions that outlive a request, by `session_id`: temporary tables and what `SET` said stay until nobody has used them
 * for `session_timeout` seconds. One request at a time, and a user's sessions are nobody else's.
 */
export class KeptSessions {
  readonly #open: () => Session;
  readonly #kept = new Map<string, Kept>();

  constructor(open: () => Session) {
    this.#open = open;
  }

  /**
   * The session that a request names, from now on its own until it is given back; `undefined` when it names none.
   *
   * @throws HttpError 372 SESSION_NOT_FOUND, 373 SESSION_IS_LOCKED, 374 INVALID_SESSION_TIMEOUT
   */
  take(url: URL, user: string): { readonly session: Session; readonly giveBack: () => void } | undefined {
    const id = url.searchParams.get('session_id') ?? '';
    if (id === '') return undefined;
    const seconds = Number(url.searchParams.get('session_timeout') ?? DEFAULT_SECONDS);
    if (!(Number.isInteger(seconds) && seconds >= 0 && seconds <= LONGEST_SECONDS)) {
      throw new HttpError(
        374,
        `Session timeout '${url.searchParams.get('session_timeout')}' is not a number of seconds up to ${LONGEST_SECONDS}. (INVALID_SESSION_TIMEOUT)`,
      );
    }
    const key = `${user}\n${id}`;
    let kept = this.#kept.get(key);
    if (kept === undefined && url.searchParams.get('session_check') === '1') {
      throw new HttpError(372, `Session ${id} not found. (SESSION_NOT_FOUND)`);
    }
    if (kept?.busy === true) {
      throw new HttpError(373, `Session ${id} is locked by a concurrent client. (SESSION_IS_LOCKED)`);
    }
    if (kept === undefined) {
      kept = { session: this.#open(), busy: true, expiry: undefined };
      this.#kept.set(key, kept);
    }
    const mine = kept;
    mine.busy = true;
    clearTimeout(mine.expiry);
    return {
      session: mine.session,
      giveBack: () => {
        mine.busy = false;
        mine.expiry = setTimeout(() => {
          this.#kept.delete(key);
          mine.session.close();
        }, seconds * 1000);
        mine.expiry.unref();
      },
    };
  }
}
