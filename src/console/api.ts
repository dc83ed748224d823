import { signal } from '@preact/signals';

const TOKEN = 'tidegate-token';

/** Kept for this tab only; needed where the gateway is reached from another host. */
export const token = signal(sessionStorage.getItem(TOKEN) ?? '');

export function setToken(value: string): void {
  sessionStorage.setItem(TOKEN, value);
  token.value = value;
}

/** What the gateway refused, in its own words. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** An error in words: what the gateway said and what to do, or whatever else it was. */
export const wordsOf = (error: unknown): string =>
  error instanceof Refused ? `${error.message}; ${error.hint}` : String(error);

async function call<T>(path: string, init: RequestInit): Promise<T> {
  const headers = new Headers(init.headers);
  if (token.value !== '') headers.set('authorization', `Bearer ${token.value}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch {
    throw new Refused(
      'unreachable',
      'the gateway does not answer',
      'it may be starting again; this page tries on',
      0,
    );
  }
  const body = (await response.json().catch(() => ({}))) as Partial<{
    code: string;
    message: string;
    hint: string;
  }>;
  if (!response.ok)
    throw new Refused(
      body.code ?? String(response.status),
      body.message ?? response.statusText,
      body.hint ?? '',
      response.status,
    );
  return body as T;
}

export const get = <T>(path: string, abort?: AbortSignal): Promise<T> =>
  call<T>(path, abort === undefined ? {} : { signal: abort });

export const post = <T>(path: string, body?: unknown): Promise<T> =>
  call<T>(path, {
    method: 'POST',
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
