import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type ActuationPlan,
  type Actuator,
  AwsActuator,
  type DesiredAllocation,
  DryRunActuator,
  ExecActuator,
  HtbActuator,
  type JsonValue,
  journalledPlans,
  KubernetesActuator,
  RouteActuator,
  SteerActuator,
  WebhookActuator,
} from '../../src/actuate/index.js';
import { XdpSource } from '../../src/capture/xdp.js';
import { LabTopology } from '../../src/lab/index.js';
import { MemoryJournal } from '../support/memory-journal.js';
import { AwsServer, KubernetesServer, WebhookServer } from '../support/model-servers.js';
import { netnsSkipReason, nftSkipReason, uniqueName } from '../support/netns.js';
import { bpfSkipReason } from '../support/privileges.js';

const always = { fromMs: 0, untilMs: 1e15 };

interface Service {
  readonly url: string;
  /** For files. */
  readonly directory: string;
}

const missing = (name: string): string | undefined => {
  try {
    createRequire(import.meta.url).resolve(name);
    return undefined;
  } catch {
    return `optional package ${name} is not installed`;
  }
};

/** What every actuator is tried with: two settings, each with two values. */
interface Subject {
  readonly name: string;
  readonly needsNetns: boolean;
  readonly skip: string | undefined;
  /** What must run before it, if anything. */
  readonly source?: (lab: LabTopology) => XdpSource;
  /** A service that it talks to, if any; made anew for each test. */
  readonly server?: () => AwsServer | KubernetesServer | WebhookServer;
  /** What it acts on has settings of its own before any plan. Default: it has none. */
  readonly startsWith?: boolean;
  make(lab: LabTopology, source: XdpSource | undefined, at: Service): Actuator;
  allocations(variant: 'one' | 'other'): DesiredAllocation[];
}

const bandwidth = (workloadId: number, target: string, amount: { share?: number; rateBps?: number }) => ({
  workloadId,
  workloadName: `w${workloadId}`,
  resource: 'bandwidth' as const,
  target,
  ...amount,
  ...always,
});
const links = (lab: LabTopology) =>
  lab.interfaces.map((i) => ({ linkId: i.linkId, interfaceName: i.name, nextHopIPv4: i.peerIPv4 }));
const shares = (variant: 'one' | 'other') =>
  [1, 2].flatMap((id) => [
    bandwidth(id, 'public-a', { share: variant === 'one' ? 0.2 : 0.6 }),
    bandwidth(id, 'public-b', { share: variant === 'one' ? 0.8 : 0.4 }),
  ]);
const cores = (variant: 'one' | 'other', poolOf: (id: number) => string) =>
  [1, 2].map((id) => ({
    workloadId: id,
    workloadName: `w${id}`,
    resource: 'cpu' as const,
    target: poolOf(id),
    cpuCores: variant === 'one' ? 3 : 4,
    ...always,
  }));
const endpointsOf = (id: number) => [
  { address: `192.0.2.${id}`, protocol: 'tcp' as const, port: 80 },
  { address: `2001:db8:a::${id}`, protocol: 'udp' as const, port: 53 },
];

const subjects: Subject[] = [
  {
    name: 'dry-run',
    needsNetns: false,
    skip: undefined,
    make: () => new DryRunActuator(),
    allocations: (variant) =>
      [1, 2].map((id) => bandwidth(id, 'public-a', { rateBps: variant === 'one' ? 1e6 * id : 5e6 * id })),
  },
  {
    name: 'htb',
    needsNetns: true,
    skip: netnsSkipReason(),
    make: (lab) => new HtbActuator({ links: links(lab), endpointsOf, netns: lab.gatewayNetns }),
    allocations: (variant) =>
      [1, 2].map((id) => bandwidth(id, 'public-a', { rateBps: variant === 'one' ? 1e6 * id : 5e6 * id })),
  },
  {
    name: 'route',
    needsNetns: true,
    skip: nftSkipReason(),
    make: (lab) => new RouteActuator({ links: links(lab), endpointsOf, netns: lab.gatewayNetns }),
    allocations: (variant) => shares(variant),
  },
  {
    name: 'steer',
    needsNetns: true,
    skip: bpfSkipReason(),
    source: (lab) =>
      new XdpSource({
        interfaces: lab.interfaces.map((i) => ({ name: i.name, netns: lab.gatewayNetns })),
        steering: true,
      }),
    make: (lab, source) =>
      new SteerActuator({
        links: links(lab),
        endpointsOf,
        netns: lab.gatewayNetns,
        datapath: () => source?.steering,
      }),
    allocations: (variant) => shares(variant),
  },
  {
    name: 'webhook',
    needsNetns: false,
    skip: undefined,
    server: () => new WebhookServer(),
    make: (_lab, _source, { url }) =>
      new WebhookActuator({ url, secret: 'a secret of sixteen and more', gateway: 'g' }),
    allocations: (variant) => cores(variant, () => 'pool'),
  },
  {
    name: 'exec',
    needsNetns: false,
    skip: undefined,
    make: () => new ExecActuator({ command: ['cat', '/dev/null'], gateway: 'g' }),
    allocations: (variant) => cores(variant, () => 'pool'),
  },
  {
    name: 'kubernetes',
    needsNetns: false,
    skip: missing('@kubernetes/client-node'),
    startsWith: true,
    server: () => new KubernetesServer(['w1', 'w2']),
    make: (_lab, _source, { directory }) =>
      new KubernetesActuator({
        kubeconfig: join(directory, 'kubeconfig'),
        workloads: ['w1', 'w2'].map((name) => ({
          workload: name,
          kind: 'Deployment',
          namespace: 'shop',
          name,
          coresPerReplica: 1,
          minReplicas: 1,
          maxReplicas: 9,
        })),
      }),
    allocations: (variant) => cores(variant, () => 'private'),
  },
  {
    name: 'aws',
    needsNetns: false,
    skip: missing('@aws-sdk/client-auto-scaling'),
    startsWith: true,
    server: () => new AwsServer(['g1', 'g2']),
    make: (_lab, _source, { url }) =>
      new AwsActuator({
        region: 'eu-central-1',
        endpoint: url,
        credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
        groups: [1, 2].map((n) => ({
          pool: `p${n}`,
          group: `g${n}`,
          coresPerInstance: 1,
          memoryBytesPerInstance: 2 ** 30,
        })),
      }),
    allocations: (variant) => cores(variant, (id) => `p${id}`),
  },
];

describe.each(subjects)('actuator contract: $name', (subject) => {
  const reason = subject.skip;
  describe.skipIf(reason !== undefined)(reason === undefined ? 'runs' : `skipped: ${reason}`, () => {
    const stateDirectory = mkdtempSync(join(tmpdir(), 'tidegate-contract-'));
    const lab = new LabTopology({ name: uniqueName('tgt'), stateDirectory });
    let actuator: Actuator;
    let source: XdpSource | undefined;
    let journal: MemoryJournal;
    const plan = (planId: string, variant: 'one' | 'other'): ActuationPlan => ({
      planId,
      createdMs: 0,
      expiresMs: 1e15,
      allocations: subject.allocations(variant),
    });
    const events = () => journal.all.map((entry) => entry.event);
    const stepCount = 2;

    beforeAll(async () => {
      if (subject.needsNetns) await lab.start();
      source = subject.source?.(lab);
      await source?.start();
    });
    afterAll(async () => {
      await source?.stop();
      await lab.stop();
      rmSync(stateDirectory, { recursive: true, force: true });
    });
    let server: AwsServer | KubernetesServer | WebhookServer | undefined;
    beforeEach(async () => {
      server = subject.server?.();
      await server?.start();
      if (server instanceof KubernetesServer)
        writeFileSync(join(stateDirectory, 'kubeconfig'), JSON.stringify(server.kubeconfig));
      actuator = subject.make(lab, source, { url: server?.url ?? '', directory: stateDirectory });
      journal = new MemoryJournal();
    });
    afterEach(async () => {
      // Back to nothing, whatever a test left applied.
      journal.crashAt = Number.POSITIVE_INFINITY;
      while (journalledPlans(journal.all, actuator.name).some((p) => p.state !== 'rolled-back'))
        await actuator.rollback(journal);
      await actuator.close();
      await server?.end();
    });
    /** What the two settings were before any plan. */
    const initial = async (): Promise<JsonValue[]> => {
      const { steps } = await actuator.preview(plan('x', 'one'));
      return steps.map((step) => step.before);
    };

    test('preview names the steps and changes nothing', async () => {
      const first = await actuator.preview(plan('p', 'one'));
      expect(first.steps).toHaveLength(stepCount);
      expect(first.refused).toEqual([]);
      expect(
        first.steps.every((step) => (step.before === null) === !subject.startsWith && step.words !== ''),
      ).toBe(true);
      expect(await actuator.preview(plan('p', 'one'))).toEqual(first);
    });

    test('apply does what preview said, with intent before and result after each step', async () => {
      const { steps } = await actuator.preview(plan('p', 'one'));
      const { applied } = await actuator.apply(plan('p', 'one'), journal);
      expect(applied).toEqual(steps);
      expect(events()).toEqual(['begin', 'intent', 'applied', 'intent', 'applied', 'committed']);
      expect(await actuator.verify()).toEqual({ actuator: actuator.name, holds: true, differences: [] });
    });

    test('applying the same again does nothing', async () => {
      await actuator.apply(plan('p', 'one'), journal);
      const before = journal.all.length;
      expect((await actuator.apply(plan('p', 'one'), journal)).applied).toEqual([]);
      expect(journal.all).toHaveLength(before);
    });

    test('step ids are stable, and differ between plans', async () => {
      const ids = async (id: string) => (await actuator.preview(plan(id, 'one'))).steps.map((s) => s.id);
      expect(await ids('p')).toEqual(await ids('p'));
      expect(new Set([...(await ids('p')), ...(await ids('q'))]).size).toBe(2 * stepCount);
    });

    test('rollback undoes one plan at a time, back to how it was', async () => {
      const before = await initial();
      await actuator.apply(plan('p', 'one'), journal);
      await actuator.apply(plan('q', 'other'), journal);
      await actuator.rollback(journal);
      expect((await actuator.preview(plan('x', 'one'))).steps).toEqual([]);
      await actuator.rollback(journal);
      expect(await initial()).toEqual(before);
      const length = journal.all.length;
      await actuator.rollback(journal);
      expect(journal.all).toHaveLength(length);
    });

    test('a crash at any entry of the journal is finished or undone, as the journal says', async () => {
      // Entries of an apply: begin, 2 × (intent, applied), committed. A crash before entry i leaves i of them.
      for (let crashAt = 0; crashAt <= 5; crashAt += 1) {
        const trial = new MemoryJournal();
        await actuator.apply(plan(`base${crashAt}`, 'one'), trial);
        const base = trial.all.length;
        trial.crashAt = base + crashAt;
        await expect(actuator.apply(plan(`next${crashAt}`, 'other'), trial)).rejects.toThrow('crashed');
        trial.crashAt = Number.POSITIVE_INFINITY;
        const recovery = await actuator.recover(trial);
        // Nothing begun; begun but incomplete; complete but not committed.
        expect(recovery).toBe(crashAt === 0 ? 'nothing' : crashAt < 5 ? 'rolled-back' : 'committed');
        const found = crashAt < 5 ? 'one' : 'other';
        expect((await actuator.preview(plan('x', found))).steps, `crash before entry ${crashAt}`).toEqual([]);
        expect(await actuator.recover(trial)).toBe('nothing');
        while (journalledPlans(trial.all, actuator.name).some((p) => p.state !== 'rolled-back'))
          await actuator.rollback(trial);
      }
    });
  });
});
