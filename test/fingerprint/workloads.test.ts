import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Assignment,
  type EndpointSummary,
  FingerprintEncoder,
  fingerprintConfig,
  groupByEndpoint,
  WorkloadRegistry,
} from '../../src/fingerprint/index.js';
import { makeBatch, type ServiceKind, serviceFlow, type TestFlow } from './support/batch.js';

let encoder: FingerprintEncoder;
beforeAll(async () => {
  encoder = await FingerprintEncoder.load();
});
afterAll(async () => {
  await encoder.release();
});

const KINDS: readonly ServiceKind[] = ['backup', 'api', 'streaming', 'dns', 'batch'];

const HOUR_MS = 3_600_000;

const registryOf = (settings: Record<string, unknown> = {}, modelId = 'm'): WorkloadRegistry =>
  new WorkloadRegistry({ ...fingerprintConfig.parse(settings), modelId });

async function endpointsOf(flows: readonly TestFlow[]): Promise<EndpointSummary[]> {
  const batch = makeBatch(flows);
  const behaviours = await encoder.encode(batch);
  return groupByEndpoint(batch, behaviours).endpoints;
}

const flowsOf = (kind: ServiceKind, count: number, at: Partial<TestFlow> = {}, from = 0): TestFlow[] =>
  Array.from({ length: count }, (_, i) => serviceFlow(kind, from + i, at));

const ids = (assignments: readonly Assignment[]): number[] => assignments.map((a) => a.workloadId);

describe('grouping by service endpoint', () => {
  it('loses no flow, packet or octet, and can be cloned to another thread', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...KINDS), fc.nat(60), fc.nat(5)), { maxLength: 80 }),
        async (choices) => {
          const batch = makeBatch(
            choices.map(([kind, variant, host]) =>
              serviceFlow(kind, variant, { destination: [192, 0, 2, host] }),
            ),
          );
          await encoder.encode(batch);
          const { endpointOfRow, endpoints } = structuredClone(groupByEndpoint(batch));
          const sum = (of: (endpoint: EndpointSummary) => number): number =>
            endpoints.reduce((total, endpoint) => total + of(endpoint), 0);
          const column = (name: string): number =>
            batch.column(name, 'u64').reduce((t, v) => t + Number(v), 0);
          expect(sum((e) => e.flows)).toBe(batch.rows);
          expect(sum((e) => e.octets)).toBe(column('octetDeltaCount'));
          expect(sum((e) => e.reverseOctets)).toBe(column('reverseOctetDeltaCount'));
          expect(sum((e) => e.packets + e.reversePackets)).toBe(
            column('packetDeltaCount') + column('reversePacketDeltaCount'),
          );
          expect(new Set(endpoints.map((e) => e.key)).size).toBe(endpoints.length);
          choices.forEach(([, , host], row) => {
            expect(endpoints[endpointOfRow[row]!]!.address).toBe(`192.0.2.${host}`);
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('takes the well-known port as the service when nobody saw the SYN', async () => {
    const [endpoint] = await endpointsOf([
      {
        source: [192, 0, 2, 7],
        sourcePort: 443,
        destination: [10, 0, 0, 9],
        destinationPort: 51_000,
        direction: 0,
      },
    ]);
    expect(endpoint).toMatchObject({ key: '6/443/192.0.2.7', port: 443 });
  });

  it('has a place for ICMP and for frames that are not IP', async () => {
    const endpoints = await endpointsOf([
      { protocol: 1, sourcePort: 0, destinationPort: 0, destination: [192, 0, 2, 9], direction: 0 },
      { kind: 0, etherType: 0x0806, protocol: 0, sourcePort: 0, destinationPort: 0, direction: 0 },
    ]);
    expect(endpoints.map((e) => e.key)).toEqual(['icmp/192.0.2.9', 'ethernet/0806']);
  });
});

describe('the workload registry', () => {
  it('tells different services apart and keeps one service together over its addresses', async () => {
    const registry = registryOf();
    const byKind = new Map<ServiceKind, Set<number>>();
    for (let host = 1; host <= 4; host += 1)
      for (const kind of KINDS) {
        const flows = flowsOf(kind, 12, { destination: [192, 0, 2, host] }, host * 20);
        const assigned = registry.observe(await endpointsOf(flows), host * 30_000);
        const seen = byKind.get(kind) ?? new Set();
        for (const id of ids(assigned)) seen.add(registry.resolve(id));
        byKind.set(kind, seen);
      }
    for (const kind of KINDS) expect(byKind.get(kind)!.size).toBe(1);
    expect(new Set([...byKind.values()].flatMap((set) => [...set])).size).toBe(KINDS.length);
    const names = registry.workloads().map((workload) => workload.name);
    expect(names).toContain('tcp/873 bulk upload');
    expect(names).toContain('udp/53 small exchanges');
    expect(registry.workloads().every((workload) => workload.endpoints === 4)).toBe(true);
  });

  it('recognises a service by its behaviour after it moved to another address', async () => {
    const registry = registryOf();
    const [first] = registry.observe(await endpointsOf(flowsOf('api', 20)), 0);
    const [moved] = registry.observe(
      await endpointsOf(flowsOf('api', 20, { destination: [198, 51, 100, 4] }, 50)),
      1000,
    );
    expect(moved).toMatchObject({ workloadId: first!.workloadId, isNew: false });
    expect(moved!.score).toBeGreaterThan(0.8);
  });

  it('recognises services that moved to another port and address, each as itself', async () => {
    const registry = registryOf();
    const at = (kind: ServiceKind, round: number) =>
      round === 0
        ? {}
        : { destination: [198, 51, 100, round], destinationPort: 20_000 + KINDS.indexOf(kind) * 7 + round };
    const byKind = new Map<ServiceKind, number[]>();
    for (let round = 0; round < 3; round += 1)
      for (const kind of KINDS) {
        const [assigned] = registry.observe(
          await endpointsOf(flowsOf(kind, 20, at(kind, round), round * 50)),
          round * HOUR_MS,
        );
        byKind.set(kind, [...(byKind.get(kind) ?? []), assigned!.workloadId]);
        expect(assigned!.score).toBeGreaterThan(0.9);
      }
    for (const seen of byKind.values()) expect(new Set(seen).size).toBe(1);
    expect(registry.workloads()).toHaveLength(KINDS.length);
    // What a port and an address told is kept over a restart.
    const again = registryOf();
    again.restore(JSON.parse(JSON.stringify(registry.snapshot())));
    const [moved] = again.observe(
      await endpointsOf(flowsOf('batch', 20, { destinationPort: 31_000 }, 900)),
      3 * HOUR_MS,
    );
    expect(moved).toMatchObject({ workloadId: byKind.get('batch')![0], isNew: false });
    // Two that answer at the same time are two, however alike.
    const beside = await endpointsOf(flowsOf('batch', 20, { destinationPort: 30_000 }, 800));
    expect(registry.observe(beside, 2 * HOUR_MS + 1)).toMatchObject([{ isNew: true }]);
  });

  it('is deterministic', async () => {
    const rounds = await Promise.all(
      Array.from({ length: 6 }, (_, round) =>
        endpointsOf(KINDS.flatMap((kind) => flowsOf(kind, 3, { destination: [192, 0, 2, round] }, round))),
      ),
    );
    const run = (): unknown => {
      const registry = registryOf();
      return rounds.map((endpoints, i) => registry.observe(endpoints, i * 40_000)).concat([]);
    };
    expect(run()).toEqual(run());
  });

  it('does not take a scan for a thousand services', async () => {
    const registry = registryOf();
    const scan = Array.from({ length: 500 }, (_, i) => ({
      destinationPort: 1 + i,
      packets: [1, 0] as const,
      octets: [40, 0] as const,
      payloads: [],
    }));
    registry.observe(await endpointsOf(scan), 0);
    expect(registry.workloads()).toHaveLength(1);
    const [answered] = registry.observe(await endpointsOf(flowsOf('api', 5, { destinationPort: 80 })), 1000);
    expect(answered!.isNew).toBe(true);
    expect(registry.workload(answered!.workloadId).service).toBe('tcp/80');
  });

  it('keeps ids, names and members over a snapshot, and drops vectors of another model', async () => {
    const registry = registryOf();
    const endpoints = await endpointsOf(KINDS.flatMap((kind) => flowsOf(kind, 5)));
    const before = ids(registry.observe(endpoints, 0));
    registry.label(before[0]!, 'nightly backup');
    const saved = JSON.parse(JSON.stringify(registry.snapshot())) as unknown;
    const same = registryOf();
    same.restore(saved);
    expect(same.workloads()).toEqual(registry.workloads());
    expect(ids(same.observe(endpoints, 1000))).toEqual(before);
    const other = registryOf({}, 'another model');
    other.restore(saved);
    expect(other.workloads().every((w) => w.fingerprint.every((value) => value === 0))).toBe(true);
    expect(ids(other.observe(endpoints, 1000))).toEqual(before);
    expect(other.workload(before[0]!).name).toBe('nightly backup');
    expect(() => registryOf().restore({ version: 7 })).toThrow(
      expect.objectContaining({ code: 'TG_FINGERPRINT_SNAPSHOT' }) as Error,
    );
  });

  it('merges by hand, answers under the old id, and splits', async () => {
    const registry = registryOf();
    const [a, b] = ids(registry.observe(await endpointsOf([...flowsOf('api', 5), ...flowsOf('dns', 5)]), 0));
    const flows = registry.workload(a!).flows + registry.workload(b!).flows;
    expect(registry.merge(a!, b!, 10).flows).toBe(flows);
    expect(registry.workload(b!).workloadId).toBe(a);
    const split = registry.split(['17/53/192.0.2.1'], 'names', 20);
    expect(registry.endpointsOf(split.workloadId)).toEqual(['17/53/192.0.2.1']);
    expect(registry.takeEvents().map((event) => event.kind)).toEqual(['new', 'new', 'merged', 'split']);
    expect(() => registry.workload(99)).toThrow(
      expect.objectContaining({ code: 'TG_FINGERPRINT_WORKLOAD' }) as Error,
    );
  });

  it('names by rule', async () => {
    const registry = registryOf({ rules: [{ name: 'resolvers', port: 53, cidr: '192.0.2.0/24' }] });
    registry.observe(await endpointsOf([...flowsOf('dns', 3), ...flowsOf('api', 3)]), 0);
    expect(registry.workloads().map((w) => w.namedBy)).toEqual(['rule', 'behaviour']);
    expect(registry.workloads()[0]!.name).toBe('resolvers');
  });

  it('names by what labels the hosts have, the longest prefix first', async () => {
    const registry = registryOf({
      hostLabels: {
        '192.0.2.0/24': { namespace: 'shop', app: 'unknown' },
        '192.0.2.7': { app: 'cart' },
        '192.0.2.128/25': { namespace: 'mail' },
      },
      rules: [
        { name: 'post', labels: { namespace: 'mail' } },
        { name: '{namespace}/{app}', labels: { namespace: '*', app: '*' } },
      ],
    });
    const nameOf = async (destination: readonly number[]): Promise<string> => {
      const [assigned] = registry.observe(await endpointsOf(flowsOf('api', 2, { destination })), 0);
      return registry.workload(assigned!.workloadId).name;
    };
    expect(await nameOf([192, 0, 2, 7])).toBe('shop/cart');
    expect(await nameOf([192, 0, 2, 8])).toBe('shop/unknown');
    expect(await nameOf([192, 0, 2, 200])).toBe('post');
    registry.observe(await endpointsOf(flowsOf('dns', 2, { destination: [198, 51, 100, 1] })), 0);
    expect(registry.workloads().map((w) => w.namedBy)).toEqual(['rule', 'rule', 'rule', 'behaviour']);
  });

  it('forgets the longest silent endpoints first and keeps the totals', async () => {
    const registry = registryOf({ maxEndpoints: 16 });
    for (let host = 0; host < 40; host += 1)
      registry.observe(await endpointsOf(flowsOf('api', 2, { destination: [192, 0, 2, host] })), host);
    expect(registry.workloads().reduce((sum, w) => sum + w.endpoints, 0)).toBe(16);
    expect(registry.workloads().reduce((sum, w) => sum + w.flows, 0)).toBe(80);
  });

  it('reports a workload that comes back and one that behaves differently', async () => {
    const registry = registryOf({ returnAfter: '1h', joinSamePort: -1 });
    const observe = async (kind: ServiceKind, batches: number, nowMs: number): Promise<void> => {
      for (let i = 0; i < batches; i += 1)
        registry.observe(
          await endpointsOf(flowsOf(kind, 20, { destinationPort: 8443 }, i)),
          nowMs + i * 1000,
        );
    };
    await observe('api', 20, 0);
    expect(registry.takeEvents().map((event) => event.kind)).toEqual(['new']);
    await observe('api', 1, 2 * 3600_000);
    expect(registry.takeEvents().map((event) => event.kind)).toEqual(['returned']);
    await observe('backup', 5, 2 * 3600_000 + 60_000);
    expect(registry.takeEvents().map((event) => event.kind)).toContain('changed');
  });
});
