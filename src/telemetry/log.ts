import pino, { type Logger } from 'pino';

export interface LogOptions {
  readonly level: string;
  /** A person reads it: short lines. Otherwise one JSON object a line. */
  readonly pretty: boolean;
}

/** Short lines for people: time, level, component, message, then the other fields as key=value. */
function formatLine(line: string): string {
  try {
    const {
      time,
      level,
      msg,
      component,
      pid: _pid,
      hostname: _host,
      ...rest
    } = JSON.parse(line) as Record<string, unknown>;
    const name =
      { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }[Number(level)] ?? '';
    const fields = Object.entries(rest).map(([key, value]) => {
      const error =
        key === 'err' && typeof value === 'object' && value !== null
          ? (value as { message?: unknown }).message
          : undefined;
      return `${key}=${error !== undefined ? String(error) : typeof value === 'object' ? JSON.stringify(value) : String(value)}`;
    });
    const clock = new Date(Number(time)).toISOString().slice(11, 23);
    return `${[clock, name.padEnd(5), component, msg, ...fields].filter((part) => part !== undefined && part !== '').join(' ')}\n`;
  } catch {
    return line;
  }
}

/** Children of each logger: they take their level over when they are made, and are told when it changes. */
const levels = new WeakMap<Logger, ReadonlySet<WeakRef<Logger>>>();

/** Changes the level of a logger of {@link createLogger}, and of all that was made from it. */
export function setLogLevel(logger: Logger, level: string): void {
  logger.level = level;
  for (const child of levels.get(logger) ?? []) {
    const living = child.deref();
    if (living !== undefined) living.level = level;
  }
}

/** The process's logger. Logs go to stderr, so that stdout carries data only. */
export function createLogger(options: LogOptions): Logger {
  const destination = {
    write: (line: string): boolean => process.stderr.write(options.pretty ? formatLine(line) : line),
  };
  const children = new Set<WeakRef<Logger>>();
  const logger = pino(
    { level: options.level, base: null, onChild: (child) => void children.add(new WeakRef(child)) },
    destination,
  );
  levels.set(logger, children);
  return logger;
}
