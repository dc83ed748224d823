import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiServer } from '../../src/api/server.js';
import { ApiFixture, type Ask, ask } from './support.js';

const TOKENS = { reading: 'r'.repeat(40), operating: 'o'.repeat(40) };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const tokens = [
  { name: 'grafana', role: 'read', sha256: sha256(TOKENS.reading) },
  { name: 'anna', role: 'operate', sha256: sha256(TOKENS.operating) },
];
/** An operation of each role that needs no store: only who may ask is looked at here. */
const READ: Ask = { path: '/api/status' };
const OPERATE: Ask = {
  method: 'POST',
  path: '/api/workloads/77/label',
  headers: { 'content-type': 'application/json' },
  body: '{"name":"x"}',
};

describe('who may ask', () => {
  let open: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of open) await close();
    open = [];
  });

  async function serve(settings: Record<string, unknown>) {
    const fixture = new ApiFixture();
    const server = new ApiServer(fixture.dependencies(settings));
    await server.start();
    open.push(async () => {
      await server.stop();
      await fixture.stop();
    });
    const { hostname, port } = new URL(server.addresses[0] ?? 'http://none:1');
    const target = { host: hostname, port: Number(port) };
    const status = async (what: Ask, headers: Record<string, string> = {}): Promise<number> =>
      (await ask(target, { ...what, headers: { ...what.headers, ...headers } })).status;
    return { fixture, server, target, status };
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  test('the owner of the socket may do everything, whatever the configuration', async () => {
    const { fixture } = await serve({ loopbackRole: 'none' });
    expect((await ask(fixture, READ)).status).toBe(200);
    expect((await ask(fixture, OPERATE)).status).toBe(404);
    expect(statSync(fixture.socketPath).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['operate', 200, 404],
    ['read', 200, 403],
    ['none', 401, 401],
  ])('loopback as %s', async (loopbackRole, read, operate) => {
    const { status } = await serve({ loopbackRole });
    expect([await status(READ), await status(OPERATE)]).toEqual([read, operate]);
  });

  test('a token gives its role and no other, and a wrong one gives nothing, not even loopback’s', async () => {
    const { status } = await serve({ loopbackRole: 'none', tokens });
    expect([
      await status(READ, bearer(TOKENS.reading)),
      await status(OPERATE, bearer(TOKENS.reading)),
    ]).toEqual([200, 403]);
    expect([
      await status(READ, bearer(TOKENS.operating)),
      await status(OPERATE, bearer(TOKENS.operating)),
    ]).toEqual([200, 404]);
    const lenient = await serve({ loopbackRole: 'operate', tokens });
    for (const wrong of ['Bearer x', 'Basic eDp5', 'Bearer', `Bearer ${sha256(TOKENS.operating)}`])
      expect(await lenient.status(READ, { authorization: wrong }), wrong).toBe(401);
  });

  test('what a proxy forwards is not loopback', async () => {
    const { status } = await serve({ tokens });
    for (const header of ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'])
      expect(await status(READ, { [header]: '192.0.2.7' }), header).toBe(401);
  });

  test('foreign pages and names that were pointed here get nothing', async () => {
    const { status, target } = await serve({ hosts: ['gateway.example'] });
    const here = `${target.host}:${target.port}`;
    expect(await status(READ, { origin: `http://${here}` })).toBe(200);
    expect(await status(READ, { host: `gateway.example:${target.port}` })).toBe(200);
    for (const origin of ['http://evil.example', 'null', `http://${target.host}:1`])
      expect(await status(READ, { origin }), origin).toBe(403);
    expect(await status(OPERATE, { origin: 'http://evil.example' })).toBe(403);
    expect(await status(READ, { host: 'rebound.example' })).toBe(403);
  });

  test('more requests than allowed are refused with the time to wait', async () => {
    const { target } = await serve({ requestsPerMinute: 3 });
    const answers = [];
    for (let i = 0; i < 5; i += 1) answers.push(await ask(target, READ));
    expect(answers.map((a) => a.status)).toEqual([200, 200, 200, 429, 429]);
    expect(JSON.parse(answers[4]!.text)).toMatchObject({ code: 'TG_API_TOO_MANY' });
    expect(Number(answers[4]!.headers['retry-after'])).toBeGreaterThan(0);
  });

  test('a body beyond the limit is refused', async () => {
    const { target } = await serve({ bodyLimit: '1KiB' });
    const answer = await ask(target, { ...OPERATE, body: JSON.stringify({ name: 'x'.repeat(2000) }) });
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'TG_API_INVALID' });
  });

  test('other hosts are served with tokens and TLS only', () => {
    const fixture = new ApiFixture();
    const made = (settings: Record<string, unknown>) => () => new ApiServer(fixture.dependencies(settings));
    const listen = ['0.0.0.0:0'];
    expect(made({ listen })).toThrow(/there are no tokens/);
    expect(made({ listen, tokens })).toThrow(/there is no TLS/);
    expect(made({ listen, tokens, allowPlaintext: true })).not.toThrow();
  });

  test('an address that is taken is left out and said', async () => {
    const first = await serve({});
    const second = await serve({ listen: [`127.0.0.1:${first.target.port}`] });
    expect(second.server.problems).toEqual([
      expect.stringMatching(/does not listen on 127\.0\.0\.1.*EADDRINUSE/),
    ]);
    expect((await ask(second.fixture, READ)).status).toBe(200);
  });

  test('TLS by the configured certificate', async () => {
    const outer = new ApiFixture();
    const [certificate, key] = [join(outer.directory, 'c.pem'), join(outer.directory, 'k.pem')];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        key,
        '-out',
        certificate,
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-days',
        '2',
      ],
      { stdio: 'ignore' },
    );
    const { target } = await serve({ tls: { certificate, key } });
    const text = await new Promise<string>((resolve, reject) => {
      request({ ...target, path: '/livez', ca: readFileSync(certificate) }, (response) => {
        response.on('data', (chunk: Buffer) => resolve(chunk.toString('utf8')));
      })
        .on('error', reject)
        .end();
    });
    expect(JSON.parse(text)).toEqual({ status: 'alive' });
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((a) => a !== undefined && !a.internal && a.family === 'IPv4');
  test.skipIf(outside === undefined)(
    `an address that is not loopback asks for a token${outside === undefined ? ' (skipped: this host has no other address)' : ''}`,
    async () => {
      const { server, status } = await serve({
        listen: [`${outside?.address}:0`],
        tokens,
        allowPlaintext: true,
      });
      expect(server.addresses).toHaveLength(1);
      expect(await status(READ)).toBe(401);
      expect(await status(READ, bearer(TOKENS.reading))).toBe(200);
    },
  );
});
