import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ActuationPlan, AwsActuator, KubernetesActuator } from '../../src/actuate/index.js';
import { cpuQuantity, memoryQuantity } from '../../src/actuate/kubernetes.js';
import { MemoryJournal } from '../support/memory-journal.js';
import { AwsServer, KubernetesServer } from '../support/model-servers.js';

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

test('quantities are as Kubernetes writes them, never less than asked for', () => {
  expect([0.25, 1, 1.0001].map(cpuQuantity)).toEqual(['250m', '1000m', '1001m']);
  expect([2 ** 20, 2 ** 30, 2 ** 20 + 1].map(memoryQuantity)).toEqual(['1Mi', '1024Mi', '2Mi']);
});

const kubernetesSkip = missing('@kubernetes/client-node');
describe.skipIf(kubernetesSkip !== undefined)(
  `kubernetes actuator, against a server that checks the protocol${kubernetesSkip ? ` (skipped: ${kubernetesSkip})` : ''}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-kube-'));
    let server: KubernetesServer;
    let actuator: KubernetesActuator;
    const web = () => server.deployments.get('web')!;

    beforeEach(async () => {
      server = new KubernetesServer(['web']);
      await server.start();
      const kubeconfig = join(directory, 'config');
      writeFileSync(kubeconfig, JSON.stringify(server.kubeconfig));
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
    afterEach(() => server.end());
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    test('scales by the sub-resource and patches requests and limits; rollback restores both', async () => {
      const journal = new MemoryJournal();
      await actuator.apply(plan('web', 'private', 5, 3 * 2 ** 30), journal);
      expect(web().replicas).toBe(3);
      expect(web().requests).toEqual({ cpu: '1667m', memory: '1024Mi' });
      expect(
        server.got.filter((r) => r.method === 'PATCH').every((r) => r.url.includes('fieldManager=tidegate')),
      ).toBe(true);
      expect(await actuator.verify()).toMatchObject({ holds: true });
      await actuator.rollback(journal);
      expect(web().replicas).toBe(2);
      expect(web().requests).toEqual({ cpu: '100m' });
    });

    test('more replicas than allowed are refused, with the number', async () => {
      const { steps, refused } = await actuator.preview(plan('web', 'private', 11, 0));
      expect(steps).toEqual([]);
      expect(refused[0]?.reason).toMatch(/^6 replicas .* more than the 5 allowed$/);
    });

    test('what the server refuses is told, and nothing of the plan stays', async () => {
      server.deny = true;
      await expect(actuator.apply(plan('web', 'private', 5, 0), new MemoryJournal())).rejects.toMatchObject({
        code: 'TG_ACTUATE_APPLY',
        message: expect.stringContaining('answered 403'),
      });
      expect(web().replicas).toBe(2);
    });
  },
);

const awsSkip = missing('@aws-sdk/client-auto-scaling');
describe.skipIf(awsSkip !== undefined)(
  `aws actuator, against a server that checks the protocol${awsSkip ? ` (skipped: ${awsSkip})` : ''}`,
  () => {
    let server: AwsServer;
    let actuator: AwsActuator;

    beforeEach(async () => {
      server = new AwsServer(['burst']);
      await server.start();
      actuator = new AwsActuator({
        region: 'eu-central-1',
        endpoint: server.url,
        credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
        groups: [
          { pool: 'm5.large', group: 'burst', coresPerInstance: 2, memoryBytesPerInstance: 8 * 2 ** 30 },
        ],
      });
    });
    afterEach(async () => {
      await actuator.close();
      await server.end();
    });

    test('sets the desired capacity that cores and memory need; rollback restores it', async () => {
      const journal = new MemoryJournal();
      await actuator.apply(plan('batch', 'm5.large', 3, 20 * 2 ** 30), journal);
      expect(server.desired.get('burst')).toBe(3); // memory needs more than cores
      expect(await actuator.verify()).toMatchObject({ holds: true });
      await actuator.rollback(journal);
      expect(server.desired.get('burst')).toBe(1);
    });

    test('more instances than the group allows are refused', async () => {
      const { steps, refused } = await actuator.preview(plan('batch', 'm5.large', 9, 0));
      expect(steps).toEqual([]);
      expect(refused[0]?.reason).toMatch(/^5 instances are more than the 4/);
    });

    test('a group that does not exist is a clear error', async () => {
      const other = new AwsActuator({
        region: 'eu-central-1',
        endpoint: server.url,
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
