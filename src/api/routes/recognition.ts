import { z } from 'zod';
import { similarWorkloads } from '../../store/index.js';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { sqlBehind, wholeNumber, workloadNumber } from '../schemas.js';
import type { Services } from '../services.js';
import { answers } from './answers.js';

const similar = z.object({
  gateway: z.string(),
  workloadId: z.number(),
  name: z.string(),
  similarity: z.number().describe('cosine of the two fingerprints, −1..1'),
  firstSeenMs: z.number(),
  lastSeenMs: z.number(),
  flows: z.number(),
  historyHours: z.number().describe('hours with traffic that its history has'),
  historyOctets: z.number().describe('octets in them, both directions'),
});

const label = z.object({
  workloadId: z.number(),
  name: z.string(),
  workloadIds: z.array(z.number()).describe('its own id, and those of workloads that became part of it'),
  endpoints: z.array(z.string()).describe('keys: protocol/port/address'),
});

/** Have we seen this before, and with which encoder do we look. */
export function registerRecognition(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  app.get(
    '/api/workloads/:workloadId/similar',
    {
      schema: {
        tags: ['workloads'],
        summary: 'Known workloads of all gateways that resemble this one, with the history behind them',
        params: z.object({ workloadId: workloadNumber }),
        querystring: z.object({ limit: wholeNumber(1, 100).prefault('10') }),
        response: answers(
          z.object({
            workloadId: z.number(),
            modelId: z.string(),
            similar: z.array(similar),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const known = dependencies.workloads();
      const { workloadId, fingerprint } = known.workload(request.params.workloadId);
      const evidence = new Evidence(dependencies.reader());
      const { modelId } = known;
      // After a change of the encoder it may not have a vector yet.
      const all = fingerprint.every((value) => value === 0)
        ? []
        : await similarWorkloads(
            { query: (sql, { params }) => evidence.query(sql, params) },
            { vector: fingerprint, modelId, count: request.query.limit + 1 },
          );
      const others = new Map<string, (typeof all)[number]>();
      for (const one of all) {
        const own = one.gateway === dependencies.gateway;
        // Ids that were merged away still have their vectors.
        const id = own ? known.resolve(one.workloadId) : one.workloadId;
        const key = `${one.gateway} ${id}`;
        if ((own && id === workloadId) || others.has(key)) continue;
        others.set(key, { ...one, workloadId: id });
      }
      return {
        workloadId,
        modelId,
        similar: [...others.values()].slice(0, request.query.limit),
        sql: evidence.statements,
      };
    },
  );

  app.get(
    '/api/fingerprints/labels',
    {
      schema: {
        tags: ['workloads'],
        summary:
          'Names that people and rules gave to workloads, and what they are about: the next training learns them',
        response: answers(z.object({ labels: z.array(label), sql: sqlBehind })),
      },
    },
    async () => ({
      labels: dependencies
        .workloads()
        .labels()
        .map((one) => ({ ...one, workloadIds: [...one.workloadIds], endpoints: [...one.endpoints] })),
      sql: [],
    }),
  );

  app.post(
    '/api/fingerprints/model/reload',
    {
      config: { role: 'operate' },
      schema: {
        tags: ['workloads'],
        summary:
          "Take up the gateway's model file after it was replaced; one that does not load changes nothing",
        response: answers(
          z.object({ modelId: z.string(), schema: z.string(), trainedOn: z.string(), sql: sqlBehind }),
        ),
      },
    },
    async (request) =>
      services.audit.around(
        request.caller,
        { action: 'reload-model', words: 'takes up the fingerprint model again', details: {} },
        async () => {
          const { id, schema, trainedOn } = await dependencies.reloadModel();
          return { modelId: id, schema, trainedOn, sql: [] };
        },
      ),
  );
}
