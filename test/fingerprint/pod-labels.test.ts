import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fingerprintConfig } from '../../src/fingerprint/config.js';
import type { Labels } from '../../src/fingerprint/workloads/host-labels.js';
import { PodLabels } from '../../src/fingerprint/workloads/pod-labels.js';
import { WorkloadRegistry } from '../../src/fingerprint/workloads/registry.js';
import type { EndpointSummary } from '../../src/fingerprint/workloads/types.js';
import { FINGERPRINT_DIMENSIONS } from '../../src/flow/columns.js';

const PACKAGE = '@kubernetes/client-node';
const isMissing = (() => {
  try {
    createRequire(import.meta.url).resolve(PACKAGE);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'MODULE_NOT_FOUND';
  }
})();

interface PodSource {
  readonly name: string;
  readonly app: string;
  readonly ips: readonly string[];
  readonly phase?: string;
  readonly hostNetwork?: boolean;
}

/** As the API server writes a Pod (core/v1). */
const pod = ({ name, app, ips, phase = 'Running', hostNetwork = false }: PodSource) => ({
  metadata: {
    name,
    namespace: 'shop',
    labels: { app },
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${app}-6d4b`, uid: name, controller: true },
    ],
  },
  spec: { nodeName: 'node-1', hostNetwork, containers: [{ name: 'c' }] },
  status: { phase, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
});

const endpoint = (address: string): EndpointSummary => ({
  key: `6/8080/${address}`,
  address,
  port: 8080,
  protocol: 6,
  flows: 10,
  octets: 5000,
  packets: 50,
  reverseOctets: 5000,
  reversePackets: 50,
  durationMs: 1000,
  firstMs: 1,
  lastMs: 2,
  pooled: new Float32Array(3 * FINGERPRINT_DIMENSIONS).fill(0.1),
  sizeHistogram: new Float32Array(32).fill(1),
  reconstructionError: 0.1,
});

describe.skipIf(isMissing)(
  `pods of a cluster, by a server that checks the protocol${isMissing ? ` (skipped: ${PACKAGE} is not installed)` : ''}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-pods-'));
    const kubeconfig = join(directory, 'config');
    let server: Server;
    let pods: PodSource[] = [];
    let isDown = false;
    let pages = 0;
    /** Pods a page, whatever the client asks for at most: it must follow `continue`. */
    const page = 2;

    beforeAll(async () => {
      server = createServer((request, response) => {
        const url = new URL(request.url ?? '', 'http://server');
        const answer = (status: number, body: unknown): void => {
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        };
        const status = (code: number, message: string): void =>
          answer(code, { apiVersion: 'v1', kind: 'Status', status: 'Failure', message, code });
        if (request.headers.authorization !== 'Bearer a-token') return status(401, 'Unauthorized');
        if (request.method !== 'GET' || url.pathname !== '/api/v1/pods') return status(404, url.pathname);
        if (url.searchParams.get('labelSelector') !== 'tier in (front, back)') return status(400, 'selector');
        if (!(Number(url.searchParams.get('limit')) >= page)) return status(400, 'limit');
        if (isDown) return status(503, 'the server is currently unable to handle the request');
        pages += 1;
        const from = Number(url.searchParams.get('continue') ?? 0);
        const rest = from + page < pods.length;
        answer(200, {
          apiVersion: 'v1',
          kind: 'PodList',
          metadata: { resourceVersion: '7', ...(rest ? { continue: String(from + page) } : {}) },
          items: pods.slice(from, from + page).map(pod),
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      writeFileSync(
        kubeconfig,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Config',
          clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
          users: [{ name: 'u', user: { token: 'a-token' } }],
          contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
          'current-context': 'x',
        }),
      );
    });
    afterAll(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    });

    const settings = () =>
      fingerprintConfig.parse({
        kubernetes: { kubeconfig, labelSelector: 'tier in (front, back)', every: '1h' },
        hostLabels: { '10.42.0.0/16': { zone: 'cluster' } },
        rules: [{ name: '{namespace}/{app}', labels: { namespace: '*', app: '*' } }],
      });

    it('name workloads by their labels, page after page, and again when an address goes to another pod', async () => {
      const config = settings();
      const registry = new WorkloadRegistry({ ...config, modelId: 'm' });
      const nameOf = (address: string, atMs: number): string => {
        const [assigned] = registry.observe([endpoint(address)], atMs);
        return registry.workload(assigned!.workloadId).name;
      };
      const before = nameOf('10.42.0.5', 1);
      expect(before).toMatch(/^tcp\/8080/);

      pods = [
        { name: 'web-1', app: 'web', ips: ['10.42.0.5', 'fd00:0:0::5'] },
        { name: 'web-2', app: 'web', ips: ['10.42.0.6'] },
        { name: 'db-1', app: 'db', ips: ['10.42.0.7'] },
        { name: 'job-1', app: 'job', ips: ['10.42.0.8'], phase: 'Succeeded' },
        { name: 'agent-1', app: 'agent', ips: ['192.0.2.1'], hostNetwork: true },
      ];
      let told: Readonly<Record<string, Labels>> = {};
      let times = 0;
      const labels = new PodLabels({
        config: config.kubernetes!,
        onChange: (next) => {
          told = next;
          times += 1;
          registry.changeHostLabels({ ...config.hostLabels, ...next });
        },
        logger: pino({ level: 'silent' }),
      });
      await labels.start();
      expect(pages).toBe(3);
      expect(Object.keys(told).sort()).toEqual(['10.42.0.5', '10.42.0.6', '10.42.0.7', 'fd00:0:0::5']);
      expect(told['10.42.0.6']).toEqual({
        namespace: 'shop',
        pod: 'web-2',
        node: 'node-1',
        owner: 'web-6d4b',
        app: 'web',
      });
      expect(['10.42.0.5', '10.42.0.6', '10.42.0.7', 'fd00::5'].map((ip) => nameOf(ip, 2))).toEqual([
        'shop/web',
        'shop/web',
        'shop/db',
        'shop/web',
      ]);

      await labels.read();
      expect(times).toBe(1);
      isDown = true;
      await labels.read();
      expect(nameOf('10.42.0.6', 3)).toBe('shop/web');
      isDown = false;
      pods = [{ name: 'db-2', app: 'db', ips: ['10.42.0.6'] }];
      await labels.read();
      await labels.stop();
      expect(nameOf('10.42.0.6', 4)).toBe('shop/db');
    });

    it('are waited for when the configuration of the client cannot be read: a warning, and tried again', async () => {
      const late = join(directory, 'late');
      pods = [{ name: 'web-1', app: 'web', ips: ['10.42.0.9'] }];
      let told: Readonly<Record<string, Labels>> | undefined;
      const labels = new PodLabels({
        config: { ...settings().kubernetes!, kubeconfig: late },
        onChange: (next) => {
          told = next;
        },
        logger: pino({ level: 'silent' }),
      });
      await labels.start();
      expect(labels.warning).toMatch(/could not be read 1 times: .*late/);
      await labels.read();
      expect(labels.warning).toMatch(/2 times/);
      expect(told).toBeUndefined();
      copyFileSync(kubeconfig, late);
      await labels.read();
      await labels.stop();
      expect(labels.warning).toBeUndefined();
      expect(Object.keys(told!)).toEqual(['10.42.0.9']);
    });
  },
);
