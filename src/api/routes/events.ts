import { z } from 'zod';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { apiError } from '../errors.js';
import type { Services } from '../services.js';

const EVERY_MS = 1000;

/** `/api/events`: the state of the gateway once a second, and each new plan, as server-sent events (WHATWG HTML, 9.2). */
export function registerEvents(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  const { streams, signal, stages } = services;
  app.get(
    '/api/events',
    {
      schema: {
        tags: ['overview'],
        summary:
          'Server-sent events: `status` and `stages` once a second, `plan` when a plan is made or its state changes',
        querystring: z.object({}),
        produces: ['text/event-stream'],
        response: { 200: z.string().describe('an endless stream of events') },
      },
    },
    async (_request, reply) => {
      const { maximumStreams } = dependencies.config;
      if (streams.open >= maximumStreams) throw apiError('TG_API_STREAMS', { limit: maximumStreams });
      streams.open += 1;
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      const send = (event: string, data: unknown): void => {
        // A reader that does not keep up misses states, not memory.
        if (raw.writableLength < 1_000_000) raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      };
      let last = '';
      const tick = (): void => {
        const status = dependencies.status();
        send('status', status);
        send('stages', stages.read(status.packets));
        const plan = { plan: status.plan, actuation: dependencies.plans.state };
        const mark = JSON.stringify([status.plan?.id, plan.actuation]);
        if (mark !== last) send('plan', plan);
        last = mark;
      };
      raw.write('retry: 2000\n\n');
      tick();
      const timer = setInterval(tick, EVERY_MS);
      const end = (): void => {
        clearInterval(timer);
        signal.removeEventListener('abort', end);
        raw.end();
      };
      raw.once('close', () => {
        end();
        streams.open -= 1;
      });
      signal.addEventListener('abort', end, { once: true });
    },
  );
}
