import { signal } from '@preact/signals';
import { token } from './api.js';
import type { Actuation, GatewayStatus, Stage } from './types.js';

/** Newest state of the gateway, once a second while the stream is open. */
export const status = signal<GatewayStatus | undefined>(undefined);
export const stages = signal<readonly Stage[]>([]);
/** Changes whenever a plan is made, applied or rolled back. */
export const planMark = signal('');
export const connected = signal(false);

const RETRY_MS = 2000;

/**
 * Reads `/api/events` (server-sent events, WHATWG HTML 9.2) by fetch, because EventSource sends no token. Begins again
 * for ever; returns how to stop.
 */
export function listen(): () => void {
  const abort = new AbortController();
  void (async () => {
    while (!abort.signal.aborted) {
      try {
        await read(abort.signal);
      } catch {
        // The state of the connection is what is shown; the next try begins below.
      }
      connected.value = false;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  })();
  return () => abort.abort();
}

async function read(abort: AbortSignal): Promise<void> {
  const response = await fetch('/api/events', {
    signal: abort,
    headers: token.value === '' ? {} : { authorization: `Bearer ${token.value}` },
  });
  if (!response.ok || response.body === null) return;
  connected.value = true;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) take(block);
  }
}

function take(block: string): void {
  const field = (name: string): string | undefined =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const data = field('data');
  if (data === undefined) return;
  const event = field('event');
  if (event === 'status') status.value = JSON.parse(data) as GatewayStatus;
  else if (event === 'stages') stages.value = JSON.parse(data) as Stage[];
  else if (event === 'plan') {
    const { plan, actuation } = JSON.parse(data) as {
      plan: GatewayStatus['plan'];
      actuation: Actuation;
    };
    planMark.value = JSON.stringify([plan?.id, actuation]);
  }
}
