import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ActuationPlan, type Actuator, ExecActuator, WebhookActuator } from '../../src/actuate/index.js';
import { MemoryJournal } from '../support/memory-journal.js';

const SECRET = 'a secret of sixteen and more';
const plan = (cpuCores: number): ActuationPlan => ({
  planId: 'p',
  createdMs: 0,
  expiresMs: 1e15,
  allocations: [
    {
      workloadId: 1,
      workloadName: 'batch',
      resource: 'cpu',
      target: 'pool-1',
      cpuCores,
      fromMs: 0,
      untilMs: 1e15,
    },
  ],
});

interface Got {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Checks what a receiver of the wire protocol must check, then answers as the test says. */
describe('webhook actuator, against a server that checks the protocol', () => {
  let server: Server;
  let got: Got[];
  let answers: ((response: ServerResponse) => void)[];
  let webhook: WebhookActuator;
  let journal: MemoryJournal;
  const ok =
    (body = ''): ((response: ServerResponse) => void) =>
    (response) =>
      response.end(body);
  const status =
    (code: number, headers: Record<string, string> = {}): ((response: ServerResponse) => void) =>
    (response) =>
      response.writeHead(code, headers).end('no');

  beforeEach(async () => {
    got = [];
    answers = [];
    journal = new MemoryJournal();
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        got.push({ headers: request.headers, body });
        (answers.shift() ?? ok())(response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    webhook = new WebhookActuator({
      url: `http://127.0.0.1:${port}/allocate`,
      secret: SECRET,
      gateway: 'g1',
      timeoutMs: 2000,
      retries: 2,
      backOffMs: 5,
    });
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('sends a signed CloudEvent', async () => {
    answers = [ok('{"accepted": true}')];
    await webhook.apply(plan(4), journal);
    const { headers, body } = got[0]!;
    expect(headers['content-type']).toMatch(/^application\/cloudevents\+json/);
    const event = JSON.parse(body) as Record<string, unknown>;
    // The required attributes of CloudEvents 1.0 are non-empty strings; `time` is RFC 3339.
    for (const name of ['id', 'source', 'specversion', 'type']) expect(event[name]).toMatch(/./);
    expect(event).toMatchObject({
      specversion: '1.0',
      source: 'tidegate/g1',
      subject: 'pool-1/batch/cpu',
      data: { target: 'pool-1/batch/cpu', value: { cpuCores: 4 } },
    });
    expect(new Date(event.time as string).toISOString()).toBe(event.time);
    expect(headers['idempotency-key']).toBe(event.id);
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers['tidegate-signature'] as string) ?? [];
    const expected = createHmac('sha256', SECRET).update(`${t}.${body}`).digest();
    expect(timingSafeEqual(Buffer.from(v1!, 'hex'), expected)).toBe(true);
  });

  test('is retried with the same key when the receiver is busy, broken or silent', async () => {
    answers = [status(503), () => undefined, ok()];
    await webhook.apply(plan(4), journal);
    expect(got).toHaveLength(3);
    expect(new Set(got.map((g) => g.headers['idempotency-key'])).size).toBe(1);
    expect(new Set(got.map((g) => g.body.replace(/"time":"[^"]*"/, ''))).size).toBe(1);
    answers = [status(429, { 'retry-after': '0' }), ok()];
    await webhook.apply(plan(5), journal);
    expect(got).toHaveLength(5);
  });

  test.each([
    ['a refusal', () => [ok('{"accepted": false, "reason": "no room"}')], 1, /refused: no room/],
    ['a client error', () => [status(403)], 1, /answered 403 "no"/],
    ['nonsense', () => [ok('<html>')], 1, /not JSON/],
    [
      'a redirect elsewhere',
      () => [1, 2, 3].map(() => status(307, { location: 'http://192.0.2.1/' })),
      3,
      /reached/,
    ],
    [
      'a receiver that stays broken',
      () => [status(500), status(500), status(500)],
      3,
      /500 "no", 3 attempts/,
    ],
  ])(
    '%s fails the step; undoing tells the receiver the state before',
    async (_what, make, requests, words) => {
      answers = make();
      await expect(webhook.apply(plan(4), journal)).rejects.toMatchObject({
        code: 'TG_ACTUATE_APPLY',
        message: expect.stringMatching(words),
      });
      // What was intended may have taken effect, so one more request takes it back.
      expect(got).toHaveLength(requests + 1);
      expect(JSON.parse(got.at(-1)!.body)).toMatchObject({ data: { value: null } });
      expect((await webhook.preview(plan(4))).steps).toHaveLength(1);
    },
  );

  test.each([
    ['both at once', '{"accepted": true}{"accepted": false}'],
    ['with itself', '{"accepted": true}\n{"accepted": true}'],
  ])('an answer that is two, %s, is refused', async (_what, body) => {
    answers = [ok(body)];
    await expect(webhook.apply(plan(4), journal)).rejects.toThrow(/not JSON/);
    expect((await webhook.preview(plan(4))).steps).toHaveLength(1);
  });

  test('a second answer on the connection is nobody\u2019s', async () => {
    // Both in one piece: a client that keeps the connection would take the second for that of its next request.
    const answer = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    answers = [
      (response) =>
        void response.socket!.write(
          answer('{"accepted": true}') + answer('{"accepted": false, "reason": "the second answer"}'),
        ),
      ok('{"accepted": true}'),
    ];
    await webhook.apply(plan(4), journal);
    await webhook.apply({ ...plan(5), planId: 'q' }, journal);
    expect(got).toHaveLength(2);
    expect((await webhook.preview(plan(5))).steps).toEqual([]);
  });

  test('an answer that comes after its time was up changes nothing, whatever it says', async () => {
    const { port } = server.address() as AddressInfo;
    const hasty = new WebhookActuator({
      url: `http://127.0.0.1:${port}/`,
      secret: SECRET,
      gateway: 'g',
      timeoutMs: 1500,
      retries: 1,
      backOffMs: 1,
    });
    let late: ServerResponse | undefined;
    answers = [
      (response) => {
        late = response;
      },
      ok('{"accepted": true}'),
    ];
    await hasty.apply(plan(4), journal);
    late?.end('{"accepted": false, "reason": "too late"}');
    expect(got.map((g) => g.headers['idempotency-key'])).toEqual([
      got[0]!.headers['idempotency-key'],
      got[0]!.headers['idempotency-key'],
    ]);
    expect((await hasty.preview(plan(4))).steps).toEqual([]);
    expect(await hasty.verify()).toMatchObject({ holds: true });
  });

  test('a receiver that keeps to the keys: retries are one request, and what is applied again is another', async () => {
    const state = new Map<string, unknown>();
    const seen = new Set<string>();
    const keep = (): void => {
      const { headers, body } = got.at(-1)!;
      const key = headers['idempotency-key'] as string;
      const { target, value } = (JSON.parse(body) as { data: { target: string; value: unknown } }).data;
      if (!seen.has(key)) state.set(target, value);
      seen.add(key);
    };
    const answer = (response: ServerResponse): void => {
      keep();
      response.end('{"accepted": true}');
    };
    // The first answer is lost after the receiver did what it was asked.
    answers = [
      (response) => {
        keep();
        response.socket?.destroy();
      },
      answer,
      answer,
      answer,
      answer,
    ];
    await webhook.apply(plan(4), journal);
    expect(got).toHaveLength(2);
    expect(seen.size).toBe(1);
    expect([...state.values()]).toEqual([{ cpuCores: 4 }]);
    await webhook.rollback(journal);
    expect([...state.values()]).toEqual([null]);
    await webhook.apply(plan(4), journal); // the same plan, once more
    expect([...state.values()]).toEqual([{ cpuCores: 4 }]);
    await webhook.rollback(journal);
    expect([...state.values()]).toEqual([null]);
    expect(seen.size).toBe(4);
  });

  test('nobody listening', async () => {
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const url = `http://127.0.0.1:${port}/`;
    const alone = new WebhookActuator({ url, secret: SECRET, gateway: 'g', retries: 1, backOffMs: 1 });
    await expect(alone.apply(plan(4), journal)).rejects.toThrow(/cannot be reached \(.*ECONNREFUSED/);
    server.listen(0);
  });
});

describe('exec actuator', () => {
  const make = (script: string, timeoutMs = 30_000): Actuator =>
    new ExecActuator({ command: [process.execPath, '-e', script], gateway: 'g1', timeoutMs });
  const readAll = `let s='';process.stdin.on('data',c=>s+=c).on('end',()=>{const e=JSON.parse(s);`;

  test('gets the event on stdin and accepts with status 0', async () => {
    const check = make(
      `${readAll}if(e.data.value===null||e.data.value.cpuCores===4&&e.specversion==='1.0')process.exit(0);process.exit(3)})`,
    );
    const journal = new MemoryJournal();
    await check.apply(plan(4), journal);
    expect((await check.preview(plan(4))).steps).toEqual([]);
    await expect(check.apply(plan(5), journal)).rejects.toThrow(/ended with status 3/);
  });

  test.each([
    ['a refusal', `${readAll}console.log('{"accepted":false,"reason":"full"}')})`, /refused: full/],
    ['a failure', `console.error('disk on fire');process.exit(1)`, /status 1: disk on fire/],
    ['silence', 'setInterval(()=>0,1000)', /no answer after 0.4 s/],
  ])('%s fails the step', async (_what, script, words) => {
    // Undoing is refused as well; the first error is the one that is told, wherever it stops.
    const error = await make(script, script.startsWith('setInterval') ? 400 : 30_000)
      .apply(plan(4), new MemoryJournal())
      .catch((e: unknown) => e);
    expect((error as Error).message).toMatch(words);
  });

  test('a program that does not exist', async () => {
    const missing = new ExecActuator({ command: ['/does/not/exist'], gateway: 'g' });
    await expect(missing.apply(plan(4), new MemoryJournal())).rejects.toThrow(/ENOENT/);
  });
});
