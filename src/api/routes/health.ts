import { z } from 'zod';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { balanceAnswer, packetBalance, sqlBehind, wholeNumber } from '../schemas.js';
import type { Services } from '../services.js';
import { answers } from './answers.js';

const finding = z.object({
  id: z.string(),
  result: z.enum(['ok', 'info', 'warning', 'blocker', 'unknown']),
  words: z.string(),
  remedy: z.string(),
});

/** `/livez`, `/readyz`, `/metrics`, `/api/health`, `/api/doctor`, `/api/audit`: how the gateway itself is. */
export function registerHealth(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  const readiness = (): { status: string; reasons: Record<string, string> } => {
    const reasons = { ...dependencies.notReady() };
    return { status: Object.keys(reasons).length === 0 ? 'ready' : 'not ready', reasons };
  };

  app.get(
    '/livez',
    {
      config: { role: 'none' },
      schema: {
        tags: ['health'],
        summary: 'Whether the process runs',
        response: answers(z.object({ status: z.string() })),
      },
    },
    async () => ({ status: 'alive' }),
  );

  app.get(
    '/readyz',
    {
      config: { role: 'none' },
      schema: {
        tags: ['health'],
        summary: 'Whether the gateway measures and stores; with ?verbose, why not',
        querystring: z.object({ verbose: z.string().max(10).optional() }),
        response: {
          200: z.object({ status: z.string(), reasons: z.record(z.string(), z.string()).optional() }),
          503: z.object({ status: z.string(), reasons: z.record(z.string(), z.string()).optional() }),
        },
      },
    },
    async (request, reply) => {
      const { status, reasons } = readiness();
      return reply
        .code(status === 'ready' ? 200 : 503)
        .send({ status, ...(request.query.verbose === undefined ? {} : { reasons }) });
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        tags: ['health'],
        summary: 'Counters for Prometheus',
        produces: ['text/plain'],
        response: { 200: z.string().describe('Prometheus text format') },
      },
    },
    async (_request, reply) => {
      const { contentType, text } = await services.metrics.text();
      return reply
        .type(contentType)
        .serializer((body: unknown) => String(body))
        .send(text);
    },
  );

  app.get(
    '/api/health',
    {
      schema: {
        tags: ['health'],
        summary: 'Stages of the pipeline: rate, what is in them, what was lost; the conservation law',
        response: answers(
          z.object({
            status: z.string(),
            reasons: z.record(z.string(), z.string()),
            startedMs: z.number(),
            nowMs: z.number(),
            packets: packetBalance,
            stages: z.array(
              z.object({
                stage: z.string(),
                words: z.string(),
                passed: z.number().describe('packets that went through'),
                passedPerSecond: z.number(),
                resident: z.number().describe('packets that are in it'),
                lost: z.number(),
              }),
            ),
            store: z.object({ kind: z.string(), reachable: z.boolean(), spoolBytes: z.number() }),
            warnings: z.array(z.string()),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async () => {
      const status = dependencies.status();
      return {
        ...readiness(),
        startedMs: status.startedMs,
        nowMs: status.nowMs,
        packets: balanceAnswer(status.packets),
        stages: services.stages.read(status.packets),
        store: status.store,
        warnings: [...status.warnings],
        sql: [],
      };
    },
  );

  app.get(
    '/api/doctor',
    {
      config: { rateLimit: { max: 12, timeWindow: 60_000 } },
      schema: {
        tags: ['health'],
        summary: 'The checks of `tidegate doctor`, run now',
        response: answers(z.object({ findings: z.array(finding), sql: sqlBehind })),
      },
    },
    async () => ({ findings: [...(await dependencies.doctor())], sql: [] }),
  );

  app.get(
    '/api/audit',
    {
      schema: {
        tags: ['health'],
        summary: 'Who changed what, newest first',
        querystring: z.object({ limit: wholeNumber(1, 1000).prefault('100') }),
        response: answers(
          z.object({
            entries: z.array(
              z.object({
                timeMs: z.number(),
                action: z.string(),
                by: z.string(),
                role: z.string(),
                from: z.string(),
                outcome: z.string(),
                words: z.string(),
              }),
            ),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const evidence = new Evidence(dependencies.reader());
      const entries = await evidence.query<{
        timeMs: number;
        action: string;
        by: string;
        role: string;
        from: string;
        outcome: string;
        words: string;
      }>(
        `SELECT toFloat64(toUnixTimestamp64Milli(time)) AS timeMs, substring(kind, 7) AS action, JSONExtractString(details, 'by') AS by,
           JSONExtractString(details, 'role') AS role, JSONExtractString(details, 'from') AS \`from\`, JSONExtractString(details, 'outcome') AS outcome, words
         FROM events WHERE gateway = {gateway:String} AND startsWith(kind, 'audit_') ORDER BY time DESC LIMIT {limit:UInt32}`,
        { gateway: dependencies.gateway, limit: request.query.limit },
      );
      return { entries, sql: evidence.statements };
    },
  );
}
