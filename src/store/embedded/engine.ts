import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Component } from '../../base/component.js';
import { messageOf, TidegateError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { workerFile } from '../../base/worker-file.js';
import { lockHolder } from '../directory-lock.js';
import { storeError } from '../errors.js';
import type { EngineOptions } from './server.js';

export interface EmbeddedEngineOptions {
  readonly directory: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly maxMemoryBytes: number;
  readonly logger: Logger;
}

interface Credentials {
  readonly writer: string;
  readonly reader: string;
}

const START_TIMEOUT_MS = 60_000;
const FIRST_RESTART_MS = 300;
const LONGEST_RESTART_MS = 10_000;
/** An engine that lost its gateway needs a moment to close its directory. */
const ORPHAN_PATIENCE_MS = 15_000;
const MAX_READERS = 12;
/** libuv threads of the engine: one a running query, or a slow query of a reader would keep an INSERT waiting. */
const ENGINE_THREADS = MAX_READERS + 12;

/**
 * Runs the embedded engine's process: starts it, restarts it on the same port when it crashes, stops it in order.
 * One engine per data directory; who holds it is said by pid.
 */
export class EmbeddedEngine implements Component {
  readonly #options: EmbeddedEngineOptions;
  #child: ChildProcess | undefined;
  #port: number;
  #credentials: Credentials | undefined;
  #stopping = false;
  #restarts = 0;

  constructor(options: EmbeddedEngineOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Users of the engine: one that writes, one that may only read. */
  get credentials(): Credentials {
    return this.#credentials ?? { writer: '', reader: '' };
  }

  async start(): Promise<void> {
    const { directory } = this.#options;
    try {
      createRequire(import.meta.url).resolve('chdb');
    } catch (error) {
      throw storeError('TG_STORE_NO_ENGINE', { reason: messageOf(error).split('\n')[0] }, error);
    }
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#credentials = this.#readCredentials();
    this.#stopping = false;
    const deadline = Date.now() + ORPHAN_PATIENCE_MS;
    for (;;) {
      try {
        await this.#launch();
        return;
      } catch (error) {
        const locked = error instanceof TidegateError && error.code === 'TG_STORE_LOCKED';
        if (!locked || Date.now() > deadline) throw error;
        await sleep(FIRST_RESTART_MS);
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    this.#child = undefined;
    if (child && child.exitCode === null && child.signalCode === null) {
      await new Promise<void>((resolve) => {
        const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
        child.once('exit', () => {
          clearTimeout(late);
          resolve();
        });
        child.kill('SIGTERM');
      });
    }
  }

  #readCredentials(): Credentials {
    const path = join(this.#options.directory, 'credentials.json');
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as Credentials;
    } catch {
      const made = {
        writer: randomBytes(18).toString('base64url'),
        reader: randomBytes(18).toString('base64url'),
      };
      writeFileSync(path, JSON.stringify(made), { mode: 0o600 });
      return made;
    }
  }

  async #launch(): Promise<void> {
    const { directory, maxMemoryBytes, logger } = this.#options;
    const { writer, reader } = this.credentials;
    const settings: EngineOptions = {
      directory,
      port: this.#port,
      maxMemoryBytes,
      users: [
        { name: 'tidegate', password: writer, readonly: false },
        { name: 'reader', password: reader, readonly: true },
      ],
      maxReaders: MAX_READERS,
    };
    // The engine reads ./config.xml of its working directory: start it where nobody keeps one.
    const child = fork(workerFile(import.meta.url, './server'), [], {
      cwd: directory,
      env: {
        ...process.env,
        // Wherever the gateway stands: what the history says of time, it says in UTC.
        TZ: 'UTC',
        TIDEGATE_ENGINE: JSON.stringify(settings),
        UV_THREADPOOL_SIZE: String(ENGINE_THREADS),
      },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString('utf8')}`.slice(-4000);
    });
    await new Promise<void>((resolve, reject) => {
      const refuse = (reason: string): void => {
        const pid = /Cannot lock file/.test(said) ? lockHolder(join(directory, 'chdb', 'status')) : undefined;
        reject(
          pid === undefined
            ? storeError('TG_STORE_START', { directory, reason })
            : storeError('TG_STORE_LOCKED', { directory, pid }),
        );
      };
      const late = setTimeout(() => {
        child.kill('SIGKILL');
        refuse(`no answer within ${START_TIMEOUT_MS / 1000} s`);
      }, START_TIMEOUT_MS);
      child.once('message', (message: { port: number }) => {
        clearTimeout(late);
        this.#port = message.port;
        resolve();
      });
      child.once('error', (error) => refuse(error.message));
      child.once('exit', (code, signal) => {
        clearTimeout(late);
        refuse(`it ended with ${signal ?? code}: ${said.trim().split('\n').slice(-3).join(' ')}`);
      });
    });
    child.once('exit', (code, signal) => {
      if (this.#stopping || this.#child !== child) return;
      this.#restarts += 1;
      logger.error(
        { code: 'TG_STORE_ENGINE_CRASH', exit: signal ?? code, restarts: this.#restarts },
        'the embedded engine ended, restarting it',
      );
      void this.#relaunch();
    });
  }

  /** Tries until the engine is back: measuring goes on meanwhile, into the spool. */
  async #relaunch(): Promise<void> {
    for (
      let delayMs = FIRST_RESTART_MS;
      !this.#stopping;
      delayMs = Math.min(delayMs * 2, LONGEST_RESTART_MS)
    ) {
      await sleep(delayMs, undefined, { ref: false });
      if (this.#stopping) return;
      try {
        await this.#launch();
        return;
      } catch (error) {
        this.#options.logger.error({ err: error }, 'the embedded engine did not restart');
      }
    }
  }
}
