import { connect } from 'node:net';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, ApiFixture, ask } from './support.js';

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minimum?: number;
}
interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly schema: Schema;
}
interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | undefined;
  readonly answers: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly parameters?: readonly Parameter[];
            readonly requestBody?: {
              readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
            };
            readonly responses: Operation['answers'];
          }
        >
      >
    >
  >;
}

const STREAM = '/api/events';
const TEXT = '/metrics';
const fixture = new ApiFixture();
let operations: Operation[] = [];
let document: Document;
const ajv = new Ajv2020({ strict: false, validateFormats: false });
const validators = new Map<string, ValidateFunction>();

beforeAll(async () => {
  await fixture.start();
  document = JSON.parse((await ask(fixture, { path: '/api/openapi.json' })).text) as Document;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      parameters: operation.parameters ?? [],
      body: operation.requestBody?.content['application/json']?.schema,
      answers: operation.responses,
    })),
  );
}, 120_000);
afterAll(() => fixture.stop());

/** Values that a real caller would send; everything else is made from the schema. */
const known = (name: string): string | undefined =>
  ({
    workloadId: '1',
    planId: fixture.plans[0]?.id,
    of: '1',
    from: '10m',
    until: 'now',
    against: fixture.plans[1]?.id,
  })[name];

function sample(schema: Schema, name = ''): unknown {
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.type === 'object') {
    return Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([key, child]) => [key, sample(child, key)]),
    );
  }
  if (schema.type === 'array') {
    return name === 'endpoints' ? [fixture.registry.endpointsOf(1)[0]] : [sample(schema.items ?? {}, name)];
  }
  if (schema.type === 'integer' || schema.type === 'number') return Math.max(1, schema.minimum ?? 1);
  return name === 'sql' ? 'SELECT 1 AS one' : 'made by the test';
}

function pathOf(operation: Operation, values: (parameter: Parameter) => string | undefined): string {
  let path = operation.path;
  const query: string[] = [];
  for (const parameter of operation.parameters) {
    const value = values(parameter);
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, encodeURIComponent(value ?? 'x'));
    else if (value !== undefined) query.push(`${parameter.name}=${encodeURIComponent(value)}`);
  }
  return query.length === 0 ? path : `${path}?${query.join('&')}`;
}

const call = (operation: Operation, path: string, body?: unknown): Promise<Answer> =>
  ask(fixture, {
    method: operation.method,
    path,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });

/** An answer is one that the document promises, word for word. */
function expectPromised(operation: Operation, answer: Answer, what: string): void {
  const { status, text } = answer;
  const range = `${String(status)[0]}XX`;
  const promised = operation.answers[status] ?? operation.answers[range];
  expect(promised, `${what} answered ${status}: ${text.slice(0, 300)}`).toBeDefined();
  const schema = promised?.content?.['application/json']?.schema;
  if (schema === undefined) return;
  const id = `${operation.method} ${operation.path} ${operation.answers[status] ? status : range}`;
  const validate = validators.get(id) ?? ajv.compile(schema);
  validators.set(id, validate);
  const valid = validate(JSON.parse(text));
  expect(valid, `${what}: ${JSON.stringify(validate.errors)} in ${text.slice(0, 300)}`).toBe(true);
}

const streaming = (operation: Operation): boolean => operation.path === STREAM;
const reading = (): Operation[] =>
  operations.filter((o) => o.method === 'GET' && !streaming(o) && o.path !== TEXT);
const writing = (): Operation[] => operations.filter((o) => o.method !== 'GET');

describe('the API keeps what its document promises', () => {
  test('the document is OpenAPI 3.1 and has the pages of the console', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    for (const path of [
      '/api/overview',
      '/api/flows',
      '/api/workloads',
      '/api/plans/{planId}',
      '/api/cost/month',
      STREAM,
    ]) {
      expect(Object.keys(document.paths)).toContain(path);
    }
    expect(operations.length).toBeGreaterThan(25);
  });

  test('every reading operation answers 200 with what was promised, and with statements that run', async () => {
    for (const operation of reading()) {
      const path = pathOf(operation, (p) =>
        p.required === true || p.in === 'path'
          ? (known(p.name) ?? String(sample(p.schema, p.name)))
          : undefined,
      );
      const answer = await call(operation, path);
      expect(answer.status, `${path}: ${answer.text.slice(0, 300)}`).toBe(200);
      expectPromised(operation, answer, path);
      const { sql } = JSON.parse(answer.text) as { sql?: string[] };
      for (const statement of sql ?? []) {
        const again = await ask(fixture, {
          method: 'POST',
          path: '/api/sql',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ sql: statement }),
        });
        expect(again.status, `${path} says ${statement}: ${again.text}`).toBe(200);
      }
    }
  }, 60_000);

  test('every parameter is taken or refused with a code, whatever its value', async () => {
    const values = [
      '',
      '0',
      '-1',
      '1e99',
      '\u0000',
      '☃'.repeat(50),
      "'; DROP TABLE flows; --",
      '{x:UInt8}',
      '../../etc',
      '9'.repeat(40),
    ];
    for (const operation of reading()) {
      for (const parameter of operation.parameters) {
        const extra = values[(operation.path.length + parameter.name.length) % values.length]!;
        for (const value of new Set([known(parameter.name) ?? '1', extra])) {
          const path = pathOf(operation, (p) =>
            p === parameter ? value : p.in === 'path' || p.required === true ? known(p.name) : undefined,
          );
          const answer = await call(operation, path);
          expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(500);
          expectPromised(operation, answer, path);
        }
      }
    }
  }, 60_000);

  test('every changing operation does or refuses what its body asks, and refuses a body with more or less', async () => {
    for (const operation of writing()) {
      const path = pathOf(operation, (p) => known(p.name));
      const whole = operation.body === undefined ? undefined : sample(operation.body);
      const answers = [await call(operation, path, whole)];
      if (operation.body !== undefined) {
        answers.push(await call(operation, path, { ...(whole as object), surprise: 1 }));
        expect(answers.at(-1)?.status, path).toBe(400);
        answers.push(await call(operation, path, []));
        expect(answers.at(-1)?.status, path).toBe(400);
      }
      for (const answer of answers) {
        expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(500);
        expectPromised(operation, answer, path);
      }
    }
  });

  test('the flow table, the sankey and the store tell the same octets', async () => {
    const read = async <T>(path: string): Promise<T> => JSON.parse((await ask(fixture, { path })).text) as T;
    const flows = await read<{
      groups: { octets: number }[];
      others: { octets: number };
      total: { octets: number; bps: number[] };
      stepMs: number;
    }>('/api/flows?from=20m&by=workload,link,peer&limit=3');
    expect(flows.total.octets).toBe(fixture.octets);
    expect(flows.groups.reduce((sum, g) => sum + g.octets, flows.others.octets)).toBeCloseTo(
      fixture.octets,
      3,
    );
    expect(flows.total.bps.reduce((sum, bps) => sum + (bps * flows.stepMs) / 8000, 0)).toBeCloseTo(
      fixture.octets,
      0,
    );
    const rolledUp = await read<{ table: string; total: { octets: number } }>(
      '/api/flows?from=20m&by=workload',
    );
    expect(rolledUp).toMatchObject({ table: 'usage_1s', total: { octets: fixture.octets } });
    const sankey = await read<{ links: { source: string; target: string; octets: number }[] }>(
      '/api/flows/sankey?from=20m&peers=1',
    );
    const side = (prefix: string): number =>
      sankey.links.filter((l) => l.source.startsWith(prefix)).reduce((sum, l) => sum + l.octets, 0);
    expect(side('link:')).toBe(fixture.octets);
    expect(side('workload:')).toBe(fixture.octets);
  });

  test('a plan is approved, applied and rolled back, and the audit says by whom', async () => {
    const plan = fixture.plans[1]!;
    const post = async (what: string, body?: string) =>
      ask(fixture, {
        method: 'POST',
        path: `/api/plans/${what}`,
        ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
      });
    expect(JSON.parse((await post(`${plan.id}/apply`)).text)).toMatchObject({ code: 'TG_API_NOT_APPROVED' });
    expect(JSON.parse((await post(`${plan.id}/approve`)).text)).toMatchObject({
      state: 'approved',
      approvedBy: 'owner',
    });
    expect(JSON.parse((await post(`${plan.id}/apply`)).text)).toMatchObject({ state: 'applied' });
    expect(JSON.parse((await post('rollback', '{"reason":"test"}')).text)).toMatchObject({ planId: plan.id });
    const audit = JSON.parse((await ask(fixture, { path: '/api/audit?limit=8' })).text) as {
      entries: { action: string; by: string; outcome: string }[];
    };
    expect(audit.entries.map((e) => [e.action, e.outcome]).reverse()).toEqual([
      ['plan_apply', 'asked'],
      ['plan_apply', `failed: the plan ${plan.id.slice(0, 12)} was not approved`],
      ['plan_approve', 'asked'],
      ['plan_approve', 'done'],
      ['plan_apply', 'asked'],
      ['plan_apply', 'done'],
      ['plan_rollback', 'asked'],
      ['plan_rollback', 'done'],
    ]);
  });

  test('events come as a stream that ends with its reader', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(fixture.socketPath, () =>
        socket.write(`GET ${STREAM} HTTP/1.1\r\nhost: localhost\r\n\r\n`),
      );
      let got = '';
      socket.on('error', reject);
      socket.on('data', (chunk) => {
        got += chunk.toString('utf8');
        if (/event: plan\ndata: \{.*\}\n\n/.test(got)) {
          socket.destroy();
          resolve(got);
        }
      });
    });
    expect(text).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(text).toMatch(/content-type: text\/event-stream/i);
    expect(text).toMatch(/event: status\ndata: \{"gateway":"apitest"/);
  });
});

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
          const operation = operations.filter((o) => !streaming(o))[which % (operations.length - 1)]!;
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
