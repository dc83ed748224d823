import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EndpointSummary,
  FingerprintEncoder,
  fingerprintConfig,
  groupByEndpoint,
  WorkloadRegistry,
} from '../../src/fingerprint/index.js';
import { WorkloadRules } from '../../src/fingerprint/workloads/rules.js';
import { type ApplicationText, writeApplication } from '../support/application-text.js';
import { makeBatch, serviceFlow } from './support/batch.js';

let encoder: FingerprintEncoder;
beforeAll(async () => {
  encoder = await FingerprintEncoder.load();
});
afterAll(async () => {
  await encoder.release();
});

const registryOf = (settings: Record<string, unknown> = {}): WorkloadRegistry =>
  new WorkloadRegistry({ ...fingerprintConfig.parse(settings), modelId: 'm' });

/** Endpoints of flows that say what they are asked by, to hosts of 192.0.2.0/24. */
async function endpointsOf(
  flows: readonly (readonly [host: number, text: ApplicationText])[],
  kind: 'api' | 'backup' = 'api',
): Promise<EndpointSummary[]> {
  const batch = makeBatch(
    flows.map(([host], i) => serviceFlow(kind, i, { destination: [192, 0, 2, host], destinationPort: 443 })),
  );
  flows.forEach(([, text], row) => {
    if (Object.keys(text).length > 0) writeApplication(batch, row, text);
  });
  await encoder.encode(batch);
  return groupByEndpoint(batch).endpoints;
}

const shop = { tlsServerName: 'Shop.example' };
const blog = { httpRequestHost: 'blog.example:8080' };

describe('services by the name that clients ask for', () => {
  it('one address with two names and without is three endpoints', async () => {
    const endpoints = await endpointsOf([
      [1, shop],
      [1, blog],
      [1, {}],
      [1, shop],
    ]);
    expect(endpoints.map(({ serverName, flows }) => [serverName, flows])).toEqual([
      ['shop.example', 2],
      ['blog.example', 1],
      [undefined, 1],
    ]);
    expect(endpoints.every(({ address }) => address === '192.0.2.1')).toBe(true);
  });

  it('what is no host name names no service', async () => {
    const odd = ['192.0.2.1', '[::1]:80', 'a/b', 'x y', ''].map(
      (host) => [1, { httpRequestHost: host }] as const,
    );
    expect((await endpointsOf(odd)).map(({ serverName }) => serverName)).toEqual([undefined]);
  });

  it('a name stays one workload on whatever addresses, also after a restart', async () => {
    const registry = registryOf();
    const [first] = registry.observe(await endpointsOf([[1, shop]]), 0);
    const [moved] = registry.observe(await endpointsOf([[2, shop]], 'backup'), 1000);
    expect(moved!.workloadId).toBe(first!.workloadId);
    const restarted = registryOf();
    restarted.restore(structuredClone(registry.snapshot()));
    const [again] = restarted.observe(await endpointsOf([[3, shop]], 'backup'), 2000);
    expect(again!.workloadId).toBe(first!.workloadId);
  });

  it('rules name by server name and by the names below one', () => {
    const rules = new WorkloadRules([
      { name: 'checkout', serverName: 'pay.shop.example' },
      { name: 'shop', serverName: '*.Shop.example' },
    ]);
    const nameOf = (serverName?: string): string | undefined =>
      rules.nameOf({
        address: '192.0.2.1',
        port: 443,
        protocol: 6,
        ...(serverName === undefined ? {} : { serverName }),
      });
    expect(nameOf('pay.shop.example')).toBe('checkout');
    expect(nameOf('www.shop.example.')).toBe('shop');
    for (const other of ['shop.example', 'eshop.example', undefined]) expect(nameOf(other)).toBeUndefined();
  });
});
