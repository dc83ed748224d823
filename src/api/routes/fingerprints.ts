import { z } from 'zod';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { newSince } from '../newness.js';
import { project } from '../projection.js';
import { sqlBehind, timeRange, wholeNumber } from '../schemas.js';
import type { Services } from '../services.js';
import { answers } from './answers.js';

interface Row {
  readonly flowId: string;
  readonly timeMs: number;
  readonly workloadId: number;
  readonly fingerprint: readonly number[];
}

/** `/api/fingerprints/map`: recent flows in two dimensions. */
export function registerFingerprints(app: ApiApp, dependencies: ApiDependencies, services: Services): void {
  app.get(
    '/api/fingerprints/map',
    {
      schema: {
        tags: ['workloads'],
        summary: 'Fingerprints of recent flows in two dimensions; the axes stay from one look to the next',
        querystring: z.object({
          ...timeRange,
          from: timeRange.from.prefault('15m'),
          limit: wholeNumber(1, 20_000)
            .prefault('2000')
            .describe('so many flows, the same ones at every look'),
        }),
        response: answers(
          z.object({
            basis: z
              .object({
                id: z.string().describe('changes when the axes do'),
                explained: z.array(z.number()).describe('share of the variance along each axis'),
              })
              .nullable()
              .describe('null: too few flows to have axes'),
            points: z.array(
              z.object({
                x: z.number(),
                y: z.number(),
                flowId: z.string(),
                timeMs: z.number(),
                workloadId: z.number(),
              }),
            ),
            workloads: z.array(
              z.object({
                workloadId: z.number(),
                name: z.string(),
                x: z.number(),
                y: z.number(),
                isNew: z
                  .boolean()
                  .describe('first seen within the range, and later than those that the gateway met first'),
                sizeDrift: z.number(),
                hasChanged: z.boolean(),
              }),
            ),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const { from, until, limit } = request.query;
      const evidence = new Evidence(dependencies.reader());
      const rows = await evidence.query<Row>(
        `SELECT toString(flowId) AS flowId, toFloat64(toUnixTimestamp64Milli(time)) AS timeMs, workloadId, fingerprint FROM fingerprints
         WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32})
         ORDER BY cityHash64(fingerprints.flowId, fingerprints.time) LIMIT {limit:UInt32}`,
        {
          gateway: dependencies.gateway,
          from: Math.floor(Math.min(from, until) / 1000),
          until: Math.ceil(Math.max(from, until) / 1000),
          limit,
        },
      );
      const known = dependencies.workloads();
      const workloads = known.workloads().filter((w) => w.fingerprint.some((value) => value !== 0));
      const basis = services.projection.basisFor(
        rows.map((row) => row.fingerprint),
        Date.now(),
      );
      if (basis === undefined) return { basis: null, points: [], workloads: [], sql: evidence.statements };
      const newMs = newSince(workloads, Math.min(from, until));
      return {
        basis: { id: basis.id, explained: [...basis.explained] },
        points: rows.map(({ fingerprint, ...row }) => {
          const [x, y] = project(basis, fingerprint);
          return { ...row, workloadId: known.resolve(row.workloadId), x, y };
        }),
        workloads: workloads.map((w) => {
          const [x, y] = project(basis, w.fingerprint);
          return {
            workloadId: w.workloadId,
            name: w.name,
            x,
            y,
            isNew: w.firstSeenMs >= newMs,
            sizeDrift: w.sizeDrift,
            hasChanged: w.hasChanged,
          };
        }),
        sql: evidence.statements,
      };
    },
  );
}
