import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ExchangeClient } from '../../src/lab/traffic/exchange.js';
import { seededRandom } from '../../src/lab/traffic/random.js';
import { LAB_WORKLOADS } from '../../src/lab/traffic/workloads.js';

const web = LAB_WORKLOADS.find((spec) => spec.name === 'web')!;
let server: Server;
let accepted = 0;
let client: ExchangeClient | undefined;

beforeEach(async () => {
  accepted = 0;
  server = createServer((socket) => {
    accepted += 1;
    socket.on('error', () => undefined).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  client?.stop();
  return new Promise((resolve) => server.close(resolve));
});

test('a request that waits for its connection opens no second one, however long that takes', async () => {
  const { port } = server.address() as AddressInfo;
  const spec = { ...web, clientAddresses: ['127.0.0.1'], serverAddresses: ['127.0.0.1'], port };
  client = new ExchangeClient('public-b', spec, seededRandom(1), 0);
  // Ten a second for half a second, looked at every ten milliseconds while no connection can come about: five are due.
  for (let ms = 0; ms <= 540; ms += 10) client.tick(ms, 10);
  while (client.report.connections < 5) await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect([client.report.connections, accepted]).toEqual([5, 5]);
  client.tick(640, 10);
  while (client.report.connections < 6) await new Promise((resolve) => setImmediate(resolve));
});
