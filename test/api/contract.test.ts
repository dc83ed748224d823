import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DocumentedApi, pathOf, STREAM } from './document.js';
import { ApiFixture, ask } from './support.js';

const fixture = new ApiFixture();
let api: DocumentedApi;

beforeAll(async () => {
  await fixture.start();
  api = await DocumentedApi.read(fixture);
}, 120_000);
afterAll(() => fixture.stop());

describe('the API keeps what its document promises', () => {
  test('the document is OpenAPI 3.1 and has the pages of the console', () => {
    expect(api.document.openapi).toMatch(/^3\.1\./);
    for (const path of [
      '/api/overview',
      '/api/flows',
      '/api/workloads',
      '/api/plans/{planId}',
      '/api/cost/month',
      STREAM,
    ]) {
      expect(Object.keys(api.document.paths)).toContain(path);
    }
    expect(api.operations.length).toBeGreaterThan(25);
  });

  test('every reading operation answers 200 with what was promised, and with statements that run', async () => {
    for (const operation of api.reading) {
      const path = pathOf(operation, (p) =>
        p.required === true || p.in === 'path'
          ? (api.known(p.name) ?? String(api.sample(p.schema, p.name)))
          : undefined,
      );
      const answer = await api.call(operation, path);
      expect(answer.status, `${path}: ${answer.text.slice(0, 300)}`).toBe(200);
      api.expectPromised(operation, answer, path);
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
    for (const operation of api.reading) {
      for (const parameter of operation.parameters) {
        const extra = values[(operation.path.length + parameter.name.length) % values.length]!;
        for (const value of new Set([api.known(parameter.name) ?? '1', extra])) {
          const path = pathOf(operation, (p) =>
            p === parameter ? value : p.in === 'path' || p.required === true ? api.known(p.name) : undefined,
          );
          const answer = await api.call(operation, path);
          expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(500);
          api.expectPromised(operation, answer, path);
        }
      }
    }
  }, 60_000);

  test('every changing operation does or refuses what its body asks, and refuses a body with more or less', async () => {
    const audited = async (): Promise<number> => {
      const { text } = await ask(fixture, { path: '/api/audit?limit=500' });
      return (JSON.parse(text) as { entries: unknown[] }).entries.length;
    };
    for (const operation of api.writing) {
      const path = pathOf(operation, (p) => api.known(p.name));
      const whole = operation.body === undefined ? undefined : api.sample(operation.body);
      const before = await audited();
      const answers = [await api.call(operation, path, whole)];
      // Whoever asks for a change is in the audit, whatever comes of it; a statement changes nothing.
      if (operation.path !== '/api/sql') expect(await audited(), path).toBeGreaterThan(before);
      if (operation.body !== undefined) {
        answers.push(await api.call(operation, path, { ...(whole as object), surprise: 1 }));
        expect(answers.at(-1)?.status, path).toBe(400);
        answers.push(await api.call(operation, path, []));
        expect(answers.at(-1)?.status, path).toBe(400);
      }
      for (const answer of answers) {
        expect(answer.status, `${path}: ${answer.text}`).toBeLessThan(500);
        api.expectPromised(operation, answer, path);
      }
    }
  });

  test('a plan that is asked for is the one that was made, or it is said why none was', async () => {
    const create = async () => {
      const answer = await ask(fixture, {
        ...{
          method: 'POST',
          path: '/api/plans',
          headers: { 'content-type': 'application/json' },
          body: '{}',
        },
      });
      return { status: answer.status, body: JSON.parse(answer.text) as Record<string, unknown> };
    };
    expect(await create()).toMatchObject({
      status: 409,
      body: { code: 'TG_API_PLAN_NOT_MADE', message: expect.stringContaining('no workload has been seen') },
    });
    const older = fixture.plans[0]!;
    fixture.planned = { plan: older };
    expect(await create()).toMatchObject({ status: 200, body: { plan: { id: older.id } } });
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
