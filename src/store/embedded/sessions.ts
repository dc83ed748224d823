import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Session } from 'chdb';
import { KeptSessions } from './kept-sessions.js';
import { HttpError, NOT_SETTINGS, quoted } from './protocol.js';
import type { EngineUser } from './rights.js';
import { settingLiteral } from './statement.js';

type ChdbModule = {
  Session: new (path: string, options: { connectionArgs: readonly string[] }) => Session;
};

/** A query may use this share of the memory that the whole process has. */
const QUERY_SHARE = 0.8;
const READER_SECONDS = 300;

/** Opens sessions of one chDB data directory. A session keeps settings and parameters to itself. */
export class Sessions {
  readonly #module: ChdbModule;
  readonly #dataDirectory: string;
  readonly #arguments: readonly string[];
  readonly #queryMemoryBytes: number;
  readonly #kept = new KeptSessions(() => this.plain());

  constructor(directory: string, maxMemoryBytes: number) {
    this.#module = createRequire(import.meta.url)('chdb') as ChdbModule;
    this.#dataDirectory = join(directory, 'chdb');
    this.#queryMemoryBytes = Math.floor(maxMemoryBytes * QUERY_SHARE);
    mkdirSync(this.#dataDirectory, { recursive: true });
    const config = join(directory, 'engine.xml');
    writeFileSync(
      config,
      `<clickhouse>
  <max_server_memory_usage>${maxMemoryBytes}</max_server_memory_usage>
  <mark_cache_size>${Math.min(268_435_456, Math.floor(maxMemoryBytes / 8))}</mark_cache_size>
</clickhouse>
`,
    );
    this.#arguments = [`--config-file=${config}`];
  }

  /** A session with nothing set. */
  plain(): Session {
    return new this.#module.Session(this.#dataDirectory, { connectionArgs: this.#arguments });
  }

  /**
   * A session with a request's database, settings, parameters and rights, the one that it names or one of its own; `tag`
   * finds its query for a KILL. To be given back after the request.
   */
  forRequest(
    url: URL,
    user: EngineUser,
    tag: string,
  ): { readonly session: Session; readonly done: () => void } {
    const settings = this.#settingsOf(url, user, tag);
    // A reader's session could keep nothing: what a reader may not write cannot be kept, and `readonly` is for good.
    const kept = user.readonly ? undefined : this.#kept.take(url, user.name);
    const session = kept?.session ?? this.plain();
    const done = (): void => {
      if (kept === undefined) {
        session.close();
        return;
      }
      try {
        // What the request set was for this request.
        const names = [...settings.keys()].filter((name) => !name.startsWith('param_'));
        session.query(`SET ${names.map((name) => `${name} = DEFAULT`).join(', ')}`);
      } finally {
        kept.giveBack();
      }
    };
    try {
      const database = url.searchParams.get('database') ?? '';
      if (database !== 'default' && database !== '') {
        session.query(`USE \`${database.replaceAll('`', '')}\``);
      }
      session.query(`SET ${[...settings].map(([name, value]) => `${name} = ${value}`).join(', ')}`);
      // Last, because nothing can be set after it.
      if (user.readonly) session.query('SET readonly = 1');
      return { session, done };
    } catch (error) {
      done();
      throw error;
    }
  }

  #settingsOf(url: URL, user: EngineUser, tag: string): ReadonlyMap<string, string> {
    const settings = new Map<string, string>([
      ['async_insert', '0'],
      // As a server: what is no statement is not taken for an expression.
      ['implicit_select', '0'],
      ['log_comment', quoted(tag)],
      ['max_memory_usage', String(this.#queryMemoryBytes)],
      ...(user.readonly ? [['max_execution_time', String(READER_SECONDS)] as const] : []),
    ]);
    for (const [name, value] of url.searchParams) {
      if (NOT_SETTINGS.has(name) || name === 'log_comment') continue;
      if (!/^[a-z_0-9]+$/i.test(name)) {
        throw new HttpError(115, `Unknown setting ${name}. (UNKNOWN_SETTING)`);
      }
      settings.set(name, name.startsWith('param_') ? quoted(value) : settingLiteral(value));
    }
    const memory = Number(settings.get('max_memory_usage'));
    if (user.readonly && !(memory > 0 && memory <= this.#queryMemoryBytes)) {
      settings.set('max_memory_usage', String(this.#queryMemoryBytes));
    }
    settings.delete('readonly');
    return settings;
  }

  /** Ends the query with this tag. `ASYNC`, because waiting for the end could wait for ever. */
  async kill(tag: string): Promise<void> {
    const session = this.plain();
    try {
      await session.queryAsync(`KILL QUERY WHERE Settings['log_comment'] = ${quoted(tag)} ASYNC`);
    } finally {
      session.close();
    }
  }
}
