import { z } from 'zod';
import { TidegateError } from '../../base/errors.js';
import { type StoreAccess, StoreClient } from '../../store/index.js';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { apiError } from '../errors.js';
import { sqlBehind } from '../schemas.js';
import { answers } from './answers.js';

interface Answer {
  readonly meta: readonly { readonly name: string; readonly type: string }[];
  readonly data: readonly (readonly unknown[])[];
}

/** `/api/sql`: statements that people write, run as a user that cannot write, within limits. */
export function registerSql(app: ApiApp, dependencies: ApiDependencies): void {
  const { sql: limits } = dependencies.config;
  app.post(
    '/api/sql',
    {
      config: { rateLimit: { max: limits.perMinute, timeWindow: 60_000 } },
      schema: {
        tags: ['sql'],
        summary: 'Run one reading statement in the ClickHouse dialect',
        body: z.strictObject({
          sql: z
            .string()
            .trim()
            .min(1)
            .max(20_000)
            .regex(/^[^\0]*$/, 'a NUL is not allowed')
            .describe('without FORMAT'),
        }),
        response: answers(
          z.object({
            columns: z.array(z.object({ name: z.string(), type: z.string() })),
            rows: z.array(z.array(z.unknown())).describe('64-bit integers as strings'),
            truncated: z.boolean().describe('there are more rows than are given out'),
            elapsedMs: z.number(),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const statement = request.body.sql.replace(/[;\s]+$/, '');
      const begun = performance.now();
      const { maximumRows } = limits;
      const text = await run(accessOf(dependencies), statement, limits.timeout, maximumRows + 1);
      const answer = JSON.parse(text) as Answer;
      return {
        columns: answer.meta.map(({ name, type }) => ({ name, type })),
        rows: answer.data.slice(0, maximumRows).map((row) => [...row]),
        truncated: answer.data.length > maximumRows,
        elapsedMs: performance.now() - begun,
        sql: [statement],
      };
    },
  );
}

function accessOf({ readerAccess, config }: ApiDependencies): StoreAccess {
  const access = readerAccess();
  const { user, password } = config.sql;
  return user === undefined ? access : { ...access, user, password };
}

async function run(access: StoreAccess, sql: string, timeoutMs: number, rows: number): Promise<string> {
  const client = new StoreClient(access);
  try {
    return await client.text(sql, 'JSONCompact', { timeoutMs, maximumRows: rows, readonly: true });
  } catch (error) {
    if (error instanceof TidegateError && error.code === 'TG_STORE_QUERY') {
      throw apiError('TG_API_SQL', { reason: error.message }, error);
    }
    throw error;
  } finally {
    await client.close();
  }
}
