import { execFile } from 'node:child_process';
import type { Logger } from '../base/logger.js';

/**
 * Tells systemd how the process is (sd_notify(3)), through systemd's own tool because Node has no datagram sockets of
 * the Unix family; the unit needs NotifyAccess=all. Without a supervisor nothing happens.
 */
export class Supervisor {
  readonly #logger: Logger;
  readonly #present: boolean;
  readonly #everyMs: number;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(logger: Logger, environment: Readonly<Record<string, string | undefined>> = process.env) {
    this.#logger = logger;
    this.#present = (environment.NOTIFY_SOCKET ?? '') !== '';
    const microseconds = Number(environment.WATCHDOG_USEC ?? 0);
    // Half of the time, as sd_watchdog_enabled(3) recommends.
    this.#everyMs = microseconds / 2000;
  }

  /** The gateway runs. From now on the watchdog is fed as long as the event loop turns and `alive` says so. */
  ready(status: string, alive: () => boolean): void {
    this.#tell('--ready', `--status=${status}`);
    if (!this.#present || !(this.#everyMs > 0)) return;
    this.#watchdog = setInterval(() => {
      if (alive()) this.#tell('WATCHDOG=1');
    }, this.#everyMs);
    this.#watchdog.unref();
  }

  stopping(): void {
    clearInterval(this.#watchdog);
    this.#tell('STOPPING=1', '--status=storing what was seen');
  }

  #tell(...words: readonly string[]): void {
    if (!this.#present) return;
    execFile('systemd-notify', [...words], (error) => {
      if (error) this.#logger.warn({ reason: error.message }, 'the supervisor could not be told');
    });
  }
}
