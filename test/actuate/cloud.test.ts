import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ActuationPlan, AwsActuator, KubernetesActuator } from '../../src/actuate/index.js';
import { cpuQuantity, memoryQuantity } from '../../src/actuate/kubernetes.js';
import { MemoryJournal } from '../support/memory-journal.js';

const missing = (name: string): string | undefined => {
  try {
    createRequire(import.meta.url).resolve(name);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code === 'MODULE_NOT_FOUND'
      ? `optional package ${name} is not installed`
      : undefined;
  }
};

const plan = (
  workloadName: string,
  target: string,
  cpuCores: number,
  memoryBytes: number,
): ActuationPlan => ({
  planId: `p${cpuCores}`,
  createdMs: 0,
  expiresMs: 1e15,
  allocations: [
    { workloadId: 1, workloadName, resource: 'cpu', target, cpuCores, fromMs: 0, untilMs: 1e15 },
    { workloadId: 1, workloadName, resource: 'memory', target, memoryBytes, fromMs: 0, untilMs: 1e15 },
  ],
});

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A server that answers each request as a test's model of the service says. */
async function serve(
  answer: (request: Request) => { status: number; type: string; body: string },
): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const { status, type, body } = answer({ method, url, headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(status, { 'content-type': type }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const end = async (server: Server): Promise<void> => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
};

test('quantities are as Kubernetes writes them, never less than asked for', () => {
  expect([0.25, 1, 1.0001].map(cpuQuantity)).toEqual(['250m', '1000m', '1001m']);
  expect([2 ** 20, 2 ** 30, 2 ** 20 + 1].map(memoryQuantity)).toEqual(['1Mi', '1024Mi', '2Mi']);
});

const kubernetesSkip = missing('@kubernetes/client-node');
describe.skipIf(kubernetesSkip !== undefined)(
  `kubernetes actuator, against a server that checks the protocol${kubernetesSkip ? ` (skipped: ${kubernetesSkip})` : ''}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-kube-'));
    let server: Server;
    let actuator: KubernetesActuator;
    let replicas: number;
    let requests: Record<string, string>;
    let got: Request[];
    let deny: boolean;

    beforeEach(async () => {
      [replicas, requests, got, deny] = [2, { cpu: '100m' }, [], false];
      const base = '/apis/apps/v1/namespaces/shop/deployments/web';
      const json = (body: unknown, status = 200) => ({
        status,
        type: 'application/json',
        body: JSON.stringify(body),
      });
      const scale = () => ({
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'web', namespace: 'shop' },
        spec: { replicas },
      });
      const deployment = () => ({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web', namespace: 'shop' },
        spec: {
          selector: {},
          template: { spec: { containers: [{ name: 'app', resources: { requests, limits: requests } }] } },
        },
      });
      const started = await serve((request) => {
        got.push(request);
        const path = request.url.split('?')[0];
        if (request.headers.authorization !== 'Bearer a-token') return json({ message: 'who are you?' }, 401);
        if (request.method === 'PATCH' && deny) return json({ message: 'quota exceeded' }, 403);
        if (path === `${base}/scale`) {
          if (request.method === 'PATCH') {
            if (request.headers['content-type'] !== 'application/merge-patch+json') return json({}, 415);
            replicas = (JSON.parse(request.body) as { spec: { replicas: number } }).spec.replicas;
          }
          return json(scale());
        }
        if (path === base) {
          if (request.method === 'PATCH') {
            if (request.headers['content-type'] !== 'application/strategic-merge-patch+json')
              return json({}, 415);
            const { resources } = JSON.parse(request.body).spec.template.spec.containers[0];
            requests = { ...requests, ...resources.requests };
            for (const [key, value] of Object.entries(requests)) if (value === null) delete requests[key];
          }
          return json(deployment());
        }
        return json({ message: `no ${path}` }, 404);
      });
      server = started.server;
      const kubeconfig = join(directory, 'config');
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: started.url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'u', user: { token: 'a-token' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      };
      writeFileSync(kubeconfig, JSON.stringify(config));
      actuator = new KubernetesActuator({
        kubeconfig,
        workloads: [
          {
            workload: 'web',
            kind: 'Deployment',
            namespace: 'shop',
            name: 'web',
            coresPerReplica: 2,
            minReplicas: 1,
            maxReplicas: 5,
            container: 'app',
          },
        ],
      });
    });
    afterEach(() => end(server));
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    test('scales by the sub-resource and patches requests and limits; rollback restores both', async () => {
      const journal = new MemoryJournal();
      await actuator.apply(plan('web', 'private', 5, 3 * 2 ** 30), journal);
      expect(replicas).toBe(3);
      expect(requests).toEqual({ cpu: '1667m', memory: '1024Mi' });
      expect(
        got.filter((r) => r.method === 'PATCH').every((r) => r.url.includes('fieldManager=tidegate')),
      ).toBe(true);
      expect(await actuator.verify()).toMatchObject({ holds: true });
      await actuator.rollback(journal);
      expect(replicas).toBe(2);
      expect(requests).toEqual({ cpu: '100m' });
    });

    test('more replicas than allowed are refused, with the number', async () => {
      const { steps, refused } = await actuator.preview(plan('web', 'private', 11, 0));
      expect(steps).toEqual([]);
      expect(refused[0]?.reason).toMatch(/^6 replicas .* more than the 5 allowed$/);
    });

    test('what the server refuses is told, and nothing of the plan stays', async () => {
      deny = true;
      await expect(actuator.apply(plan('web', 'private', 5, 0), new MemoryJournal())).rejects.toMatchObject({
        code: 'TG_ACTUATE_APPLY',
        message: expect.stringContaining('answered 403'),
      });
      expect(replicas).toBe(2);
    });
  },
);

const awsSkip = missing('@aws-sdk/client-auto-scaling');
describe.skipIf(awsSkip !== undefined)(
  `aws actuator, against a server that checks the protocol${awsSkip ? ` (skipped: ${awsSkip})` : ''}`,
  () => {
    let server: Server;
    let actuator: AwsActuator;
    let desired: number;

    beforeEach(async () => {
      desired = 1;
      const xml = (action: string, result: string) => ({
        status: 200,
        type: 'text/xml',
        body: `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">${result}<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`,
      });
      const failure = (status: number, code: string, message: string) => ({
        status,
        type: 'text/xml',
        body: `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
      });
      const started = await serve(({ method, headers, body }) => {
        const form = new URLSearchParams(body);
        if (method !== 'POST' || form.get('Version') !== '2011-01-01')
          return failure(400, 'Malformed', 'no query');
        // AWS Signature Version 4: who, when, for which service, over which headers.
        if (
          !/^AWS4-HMAC-SHA256 Credential=AKIATEST\/\d{8}\/eu-central-1\/autoscaling\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$/.test(
            headers.authorization ?? '',
          )
        )
          return failure(403, 'SignatureDoesNotMatch', 'not signed');
        switch (form.get('Action')) {
          case 'DescribeAutoScalingGroups': {
            const known = form.get('AutoScalingGroupNames.member.1') === 'burst';
            const group = `<member><AutoScalingGroupName>burst</AutoScalingGroupName><MinSize>0</MinSize><MaxSize>4</MaxSize><DesiredCapacity>${desired}</DesiredCapacity></member>`;
            return xml(
              'DescribeAutoScalingGroups',
              `<DescribeAutoScalingGroupsResult><AutoScalingGroups>${known ? group : ''}</AutoScalingGroups></DescribeAutoScalingGroupsResult>`,
            );
          }
          case 'SetDesiredCapacity':
            if (form.get('HonorCooldown') !== 'false') return failure(400, 'ValidationError', 'cooldown');
            desired = Number(form.get('DesiredCapacity'));
            return xml('SetDesiredCapacity', '');
          default:
            return failure(400, 'InvalidAction', String(form.get('Action')));
        }
      });
      server = started.server;
      actuator = new AwsActuator({
        region: 'eu-central-1',
        endpoint: started.url,
        credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
        groups: [
          { pool: 'm5.large', group: 'burst', coresPerInstance: 2, memoryBytesPerInstance: 8 * 2 ** 30 },
        ],
      });
    });
    afterEach(async () => {
      await actuator.close();
      await end(server);
    });

    test('sets the desired capacity that cores and memory need; rollback restores it', async () => {
      const journal = new MemoryJournal();
      await actuator.apply(plan('batch', 'm5.large', 3, 20 * 2 ** 30), journal);
      expect(desired).toBe(3); // memory needs more than cores
      expect(await actuator.verify()).toMatchObject({ holds: true });
      await actuator.rollback(journal);
      expect(desired).toBe(1);
    });

    test('more instances than the group allows are refused', async () => {
      const { steps, refused } = await actuator.preview(plan('batch', 'm5.large', 9, 0));
      expect(steps).toEqual([]);
      expect(refused[0]?.reason).toMatch(/^5 instances are more than the 4/);
    });

    test('a group that does not exist is a clear error', async () => {
      const other = new AwsActuator({
        region: 'eu-central-1',
        endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
        groups: [{ pool: 'm5.large', group: 'gone', coresPerInstance: 2, memoryBytesPerInstance: 1 }],
      });
      await expect(other.preview(plan('batch', 'm5.large', 1, 0))).rejects.toMatchObject({
        code: 'TG_ACTUATE_REMOTE',
        message: 'aws: gone does not exist',
      });
      await other.close();
    });
  },
);
