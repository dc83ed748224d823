import { z } from 'zod';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { readLinks } from '../link-query.js';
import { sqlBehind } from '../schemas.js';
import { answers } from './answers.js';

export const linkAnswer = z.object({
  linkId: z.string(),
  interface: z.string(),
  network: z.enum(['private', 'public']),
  wayOut: z.boolean(),
  tariff: z.string(),
  capacityBps: z.number(),
  outBps: z.number().describe('from the private side, mean of the last seconds'),
  inBps: z.number(),
  utilisation: z.number().describe('share of the capacity that the busier direction uses'),
  usdPerGb: z.number().describe('price of the next 10^9 octets'),
  ahead: z
    .object({
      createdMs: z.number(),
      startMs: z.number(),
      stepMs: z.number(),
      outMedianBps: z.array(z.number()),
      outUpperBps: z.array(z.number()).describe('95 % quantile'),
      peakOutMedianBps: z.number(),
      peakOutUpperBps: z.number(),
    })
    .nullable()
    .describe('as forecast, up to a day; null before the first forecast'),
});

/** `/api/links`: ways in and out, now and ahead. */
export function registerLinks(app: ApiApp, dependencies: ApiDependencies): void {
  app.get(
    '/api/links',
    {
      schema: {
        tags: ['overview'],
        summary: 'Links: capacity, price, use now and as forecast for the next day',
        response: answers(z.object({ links: z.array(linkAnswer), sql: sqlBehind })),
      },
    },
    async () => {
      const evidence = new Evidence(dependencies.reader());
      const links = await readLinks(evidence, dependencies, Date.now());
      return { links, sql: evidence.statements };
    },
  );
}
