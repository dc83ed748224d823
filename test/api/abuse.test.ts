import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DocumentedApi, pathOf } from './document.js';
import { type Answer, ApiFixture, ask } from './support.js';

const fixture = new ApiFixture();
let api: DocumentedApi;

beforeAll(async () => {
  await fixture.start();
  api = await DocumentedApi.read(fixture);
}, 120_000);
afterAll(() => fixture.stop());

describe('abuse', () => {
  const alive = async (): Promise<void> => expect((await ask(fixture, { path: '/livez' })).status).toBe(200);

  test('no path, query, header or body makes it fail', async () => {
    const header = fc.tuple(
      fc.constantFrom(
        'content-type',
        'accept',
        'authorization',
        'origin',
        'x-forwarded-for',
        'range',
        'if-none-match',
        'expect-nothing',
      ),
      fc.oneof(
        fc.constantFrom(
          'application/json',
          'text/plain',
          'multipart/form-data; boundary=x',
          'Bearer x',
          '*/*',
          'bytes=0-',
        ),
        fc.stringMatching(/^[!-~]{0,40}$/),
      ),
    );
    const words = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom('1', 'now', '__proto__', 'constructor', '%', '..'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'),
        fc.array(words, { maxLength: 4 }),
        fc.array(header, { maxLength: 4 }),
        fc.oneof(
          fc.json({ maxDepth: 3 }),
          fc.string({ unit: 'binary' }),
          fc.constantFrom('{"__proto__":1}', '[[[[', '{"sql":"SELECT sleep(0)"}', `"${'x'.repeat(70_000)}"`),
        ),
        async (which, method, values, headers, body) => {
          const operation = api.ending[which % api.ending.length]!;
          let k = 0;
          const next = (): string => values[k++ % Math.max(1, values.length)] ?? 'x';
          const path =
            which % 5 === 0
              ? `/${encodeURIComponent(next())}/${encodeURIComponent(next())}`
              : pathOf(operation, (p) =>
                  p.in === 'path' ? next() || 'x' : which % 3 === 0 ? next() : undefined,
                );
          const answer = await ask(fixture, {
            method: which % 2 === 0 ? operation.method : method,
            path,
            headers: Object.fromEntries(headers),
            body,
          });
          expect(answer.status, `${method} ${path}: ${answer.text.slice(0, 300)}`).toBeLessThan(500);
          if (answer.status >= 400 && answer.text !== '') {
            expect(JSON.parse(answer.text)).toMatchObject({
              code: expect.stringMatching(/^TG_/),
              hint: expect.stringMatching(/./),
            });
          }
        },
      ),
      { numRuns: 80 },
    );
    await alive();
  }, 120_000);

  test('bytes that are no HTTP do not end it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        await new Promise<void>((resolve) => {
          const socket = connect(fixture.socketPath, () => socket.end(bytes));
          socket.on('error', () => resolve());
          socket.on('close', () => resolve());
          socket.resume();
        });
      }),
      { numRuns: 50 },
    );
    await alive();
  });

  test('statements of people cannot write, read files, or take more than their share', async () => {
    const run = async (sql: string): Promise<Answer> =>
      ask(fixture, {
        method: 'POST',
        path: '/api/sql',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sql }),
      });
    for (const sql of [
      'DROP TABLE flows',
      'INSERT INTO flows (gateway) VALUES (1)',
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT 1 INTO OUTFILE '/tmp/x'",
      'SET readonly = 0',
      'SELECT 1; DROP TABLE flows',
    ]) {
      const answer = await run(sql);
      expect(answer.status, `${sql}: ${answer.text}`).toBe(400);
      expect(JSON.parse(answer.text)).toMatchObject({ code: 'TG_API_SQL' });
    }
    const many = JSON.parse((await run('SELECT number FROM numbers(1000000)')).text) as {
      rows: unknown[];
      truncated: boolean;
    };
    expect(many.rows.length).toBe(10_000);
    expect(many.truncated).toBe(true);
    await alive();
  });
});
