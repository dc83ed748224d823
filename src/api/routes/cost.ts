import { z } from 'zod';
import { monthOf } from '../../pipeline/month-usage.js';
import type { ApiApp } from '../app.js';
import { readMoney, readMonth } from '../cost-query.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { sqlBehind, timeRange } from '../schemas.js';
import { answers } from './answers.js';

const day = z.object({
  day: z.string(),
  actualUsd: z.number(),
  doNothingUsd: z.number(),
  perfectUsd: z.number().describe('the same demand with perfect foresight'),
  regretUsd: z.number(),
  savedUsd: z.number(),
  instancesUsd: z.number().describe('instances’ part of the actual cost'),
  violationMinutes: z.number(),
  doNothingViolationMinutes: z.number(),
  gb: z.number(),
});

/** `/api/cost…`: what traffic cost, would have cost, and what the month's bill will measure. */
export function registerCost(app: ApiApp, dependencies: ApiDependencies): void {
  app.get(
    '/api/cost/ledger',
    {
      schema: {
        tags: ['cost'],
        summary: 'Cost by day: actual, doing nothing, perfect foresight',
        querystring: z.object({ ...timeRange, from: timeRange.from.prefault('30d') }),
        response: answers(z.object({ days: z.array(day), sql: sqlBehind })),
      },
    },
    async (request) => {
      const { from, until } = request.query;
      const evidence = new Evidence(dependencies.reader());
      const days = await readMoney(evidence, dependencies, Math.min(from, until), Math.max(from, until));
      return { days, sql: evidence.statements };
    },
  );

  app.get(
    '/api/cost/month',
    {
      schema: {
        tags: ['cost'],
        summary: "A month's five-minute samples, sorted, with commit and percentile, and the bill",
        querystring: z.object({
          month: z
            .string()
            .regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'expected a month such as 2026-11')
            .optional()
            .describe('absent = this month'),
        }),
        response: answers(
          z.object({
            month: z.string(),
            links: z.array(
              z.object({
                linkId: z.string(),
                tariffId: z.string(),
                startMs: z.number(),
                endMs: z.number(),
                expectedSamples: z.number(),
                elapsedSamples: z.number(),
                outBps: z.array(z.number()).describe('samples with traffic, highest first'),
                inBps: z.array(z.number()),
                octetsOut: z.number(),
                octetsIn: z.number(),
                outP95Bps: z.number(),
                inP95Bps: z.number(),
                burstable: z
                  .object({
                    percentile: z.number(),
                    rule: z.enum(['max', 'sum', 'out']),
                    commitBps: z.number(),
                    measuredBps: z.number(),
                    billedBps: z.number(),
                    usd: z.number(),
                    freeSamples: z.number(),
                    freeSamplesLeft: z.number().describe('samples that may still exceed the commit unbilled'),
                  })
                  .nullable()
                  .describe('null: the tariff is not billed by percentile'),
              }),
            ),
            lines: z.array(
              z.object({
                linkId: z.string(),
                tariffId: z.string(),
                item: z.string(),
                quantity: z.number(),
                unit: z.string(),
                unitPriceUsd: z.number(),
                amountUsd: z.number(),
                words: z.string(),
              }),
            ),
            totalUsd: z.number(),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const nowMs = Date.now();
      const month = request.query.month ?? monthOf(nowMs).month;
      const evidence = new Evidence(dependencies.reader());
      const { links, lines, totalUsd } = await readMonth(evidence, dependencies, month, nowMs);
      return {
        month,
        links: links.map(({ month: own, outBps, inBps, ...link }) => ({
          ...link,
          startMs: own.startMs,
          endMs: own.endMs,
          outBps: [...outBps],
          inBps: [...inBps],
        })),
        lines: [...lines],
        totalUsd,
        sql: evidence.statements,
      };
    },
  );
}
