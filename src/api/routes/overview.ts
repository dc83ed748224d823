import { z } from 'zod';
import { monthOf } from '../../pipeline/month-usage.js';
import type { ApiApp } from '../app.js';
import { readMoney } from '../cost-query.js';
import type { ApiDependencies } from '../dependencies.js';
import { Evidence } from '../evidence.js';
import { readLinks } from '../link-query.js';
import { gatewayStatus, sqlBehind, statusAnswer } from '../schemas.js';
import { answers } from './answers.js';
import { linkAnswer } from './links.js';

const RECENT_MS = 900_000;

/** `/status`, `/api/status` and `/api/overview`: the gateway at a glance. */
export function registerOverview(app: ApiApp, dependencies: ApiDependencies): void {
  // Without the prefix for the command line, which has asked there since before there was an API.
  app.get('/status', { schema: { hide: true } }, async () => dependencies.status());

  app.get(
    '/api/status',
    {
      schema: {
        tags: ['overview'],
        summary: 'What the gateway sees, stores and has lost, now',
        response: answers(gatewayStatus.extend({ sql: sqlBehind })),
      },
    },
    async () => ({ ...statusAnswer(dependencies.status()), sql: [] }),
  );

  app.get(
    '/api/overview',
    {
      schema: {
        tags: ['overview'],
        summary: 'The page that a console opens with: state, recent rates, links now and ahead, money',
        response: answers(
          z.object({
            status: gatewayStatus,
            recent: z
              .object({
                startMs: z.number(),
                stepMs: z.number(),
                outBps: z.array(z.number()),
                inBps: z.array(z.number()),
                packetsPerSecond: z.array(z.number()),
              })
              .describe('the last quarter of an hour'),
            links: z.array(linkAnswer),
            month: z
              .object({
                month: z.string(),
                actualUsd: z.number(),
                doNothingUsd: z.number(),
                perfectUsd: z.number(),
                savedUsd: z.number(),
              })
              .describe('this month so far, UTC'),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async () => {
      const nowMs = Date.now();
      const evidence = new Evidence(dependencies.reader());
      const stepS = 5;
      const untilS = Math.floor(nowMs / 1000 / stepS) * stepS;
      const fromS = untilS - RECENT_MS / 1000;
      const steps = (untilS - fromS) / stepS;
      const rows = await evidence.query<{
        slot: number;
        outOctets: number;
        inOctets: number;
        packets: number;
      }>(
        `SELECT intDiv(toUnixTimestamp(time) - {from:UInt32}, {step:UInt32}) AS slot, toFloat64(sum(octetsOut)) AS outOctets,
           toFloat64(sum(octetsIn)) AS inOctets, toFloat64(sum(packetsOut + packetsIn)) AS packets
         FROM usage_1s WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32})
         GROUP BY slot ORDER BY slot`,
        { gateway: dependencies.gateway, from: fromS, until: untilS, step: stepS },
      );
      const series = (of: (row: (typeof rows)[number]) => number): number[] => {
        const values = new Array<number>(steps).fill(0);
        for (const row of rows) values[row.slot] = of(row);
        return values;
      };
      const links = await readLinks(evidence, dependencies, nowMs);
      const month = monthOf(nowMs);
      const days = await readMoney(evidence, dependencies, month.startMs, nowMs);
      const sum = (key: 'actualUsd' | 'doNothingUsd' | 'perfectUsd' | 'savedUsd'): number =>
        days.reduce((total, day) => total + day[key], 0);
      return {
        status: statusAnswer(dependencies.status()),
        recent: {
          startMs: fromS * 1000,
          stepMs: stepS * 1000,
          outBps: series((row) => (row.outOctets * 8) / stepS),
          inBps: series((row) => (row.inOctets * 8) / stepS),
          packetsPerSecond: series((row) => row.packets / stepS),
        },
        links,
        month: {
          month: month.month,
          actualUsd: sum('actualUsd'),
          doNothingUsd: sum('doNothingUsd'),
          perfectUsd: sum('perfectUsd'),
          savedUsd: sum('savedUsd'),
        },
        sql: evidence.statements,
      };
    },
  );
}
