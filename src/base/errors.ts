/**
 * The one error type of Tidegate. Every error a person can meet carries a stable code, what happened,
 * and what to do about it. Rooms define their codes next to their code with {@link defineErrors}.
 */

/** What a code means: its message template (`{name}` is replaced), its remedy, and how it leaves the process. */
export interface ErrorDefinition {
  /** What happened, lower-case, `{placeholders}` from the details. */
  readonly message: string;
  /** What the reader can do next. */
  readonly hint: string;
  /** Exit code of a command that fails with it (default 1; 2 usage, 3 doctor blocker, 4 plan refused). */
  readonly exitCode?: number;
  /** HTTP status when it leaves through the API (default 500). */
  readonly httpStatus?: number;
}

export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | undefined>>;

export class TidegateError extends Error {
  override readonly name = 'TidegateError';

  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly details: ErrorDetails = {},
    readonly exitCode = 1,
    readonly httpStatus = 500,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** One line for a terminal: code, what happened, what to do. */
  toLine(): string {
    return `${this.code}: ${this.message}; ${this.hint}`;
  }
}

const fill = (template: string, details: ErrorDetails): string =>
  template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    details[name] === undefined ? whole : String(details[name]),
  );

/**
 * Turns a table of codes into a factory: `const fail = defineErrors({TG_X_Y: {message, hint}})`, then
 * `throw fail('TG_X_Y', {name: 'value'})`. The placeholders of message and hint are filled from the details.
 */
export function defineErrors<Code extends string>(table: Readonly<Record<Code, ErrorDefinition>>) {
  return (code: Code, details: ErrorDetails = {}, cause?: unknown): TidegateError => {
    const definition = table[code];
    return new TidegateError(
      code,
      fill(definition.message, details),
      fill(definition.hint, details),
      details,
      definition.exitCode,
      definition.httpStatus,
      cause === undefined ? undefined : { cause },
    );
  };
}

/** The message of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
