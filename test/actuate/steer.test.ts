import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ActuationPlan, HtbActuator, type LinkWeights, SteerActuator } from '../../src/actuate/index.js';
import type { SteeredRule } from '../../src/capture/steering.js';
import { XdpSource } from '../../src/capture/xdp.js';
import { LAB_BURST, LAB_BURST_CLIENTS, LAB_TRANSIT, LabTopology } from '../../src/lab/index.js';
import { MemoryJournal } from '../support/memory-journal.js';
import { interfaceCounters, uniqueName } from '../support/netns.js';
import { bpfSkipReason } from '../support/privileges.js';
import { Talker } from '../support/talker.js';

const skip = bpfSkipReason();
const VIP = LAB_BURST.ipv4;
const PORT = 7007;

const planOf = (planId: string, weights: LinkWeights): ActuationPlan => ({
  planId,
  createdMs: 0,
  expiresMs: 1e15,
  allocations: Object.entries(weights).map(([target, share]) => ({
    workloadId: 5,
    workloadName: 'web',
    resource: 'bandwidth',
    target,
    share,
    fromMs: 0,
    untilMs: 1e15,
  })),
});

describe.skipIf(skip !== undefined)(
  `steer actuator${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const stateDirectory = mkdtempSync(join(tmpdir(), 'tidegate-steer-'));
    const lab = new LabTopology({ name: uniqueName('tgt'), stateDirectory });
    const journal = new MemoryJournal();
    const talkers: Talker[] = [];
    let client: Talker;
    let source: XdpSource;
    let steer: SteerActuator;
    const count = (names: string[], name: string): number => names.filter((n) => n === name).length;
    const counters = () => source.steering!.state().counters;
    const gateway = (...command: string[]): string =>
      execFileSync('nsenter', [`--net=${lab.gatewayNetns}`, ...command], { encoding: 'utf8', stdio: 'pipe' });
    const rule = (more: Partial<SteeredRule>): SteeredRule => ({
      workloadId: 9,
      steering: 'placement',
      hard: false,
      address: LAB_TRANSIT.hosts[0],
      prefixLength: 32,
      protocol: 'tcp',
      port: 443,
      weights: { 'public-a': 1 },
      ...more,
    });

    beforeAll(async () => {
      await lab.start();
      source = new XdpSource({
        interfaces: lab.interfaces.map((i) => ({ name: i.name, netns: lab.gatewayNetns })),
        steering: true,
      });
      await source.start();
      steer = new SteerActuator({
        links: lab.interfaces.map((i) => ({
          linkId: i.linkId,
          interfaceName: i.name,
          network: i.network,
          nextHopIPv4: i.peerIPv4,
          nextHopIPv6: i.peerIPv6,
        })),
        endpointsOf: (id) => (id === 5 ? [{ address: VIP, protocol: 'tcp', port: PORT }] : []),
        steeringOf: () => 'placement',
        netns: lab.gatewayNetns,
        datapath: () => source.steering,
      });
      const inside = new Talker(lab.netnsOf('private'));
      const outside = new Talker(lab.netnsOf('public-a'));
      client = new Talker(lab.netnsOf('public-b'), LAB_BURST_CLIENTS[0]);
      talkers.push(inside, outside, client);
      await inside.serve(VIP, PORT, 'private');
      await outside.serve(VIP, PORT, 'public-a');
    });
    afterAll(async () => {
      await steer?.close();
      await Promise.all(talkers.map((talker) => talker.end()));
      await source?.stop();
      await lab.stop();
      rmSync(stateDirectory, { recursive: true, force: true });
    });

    test('new flows follow the weights, flows in progress stay; each packet is metered once', async () => {
      // Older than the steering itself: they stay where the routing table has them.
      expect(count(await client.open('old', VIP, PORT, 10), 'private')).toBe(10);
      await steer.apply(planOf('p1', { 'public-a': 1 }), journal);
      expect(count(await client.open('new', VIP, PORT, 10), 'public-a')).toBe(10);
      for (let i = 0; i < 6; i += 1) {
        const [to, weights]: [string, LinkWeights] =
          i % 2 === 0 ? ['private', { private: 1 }] : ['public-a', { 'public-a': 1 }];
        await steer.apply(planOf(`flip${i}`, weights), journal);
        expect(count(await client.open(`f${i}-`, VIP, PORT, 5), to)).toBe(5);
        expect(await client.echo('')).toBe(20 + 5 * (i + 1));
      }
      expect(counters().redirected + counters().deferred).toBeGreaterThan(0);
      expect(counters()).toMatchObject({ unlearned: 0, stranded: 0 });
      expect(await steer.verify()).toMatchObject({ holds: true });
      await client.close('');
      // What came in by the wire = what was metered: sent on or not, once.
      const wireOf = (): number => {
        const all = interfaceCounters(lab.gatewayNetns);
        return lab.interfaces.reduce((sum, i) => sum + all.get(i.name)!.rxPackets, 0);
      };
      await new Promise((resolve) => setTimeout(resolve, 300));
      const before = source.interfaces().reduce((sum, i) => sum + i.rxPackets, 0);
      const wire = wireOf();
      await client.open('once', VIP, PORT, 20);
      await client.echo('once');
      await new Promise((resolve) => setTimeout(resolve, 300));
      const after = source.interfaces().reduce((sum, i) => sum + i.rxPackets, 0);
      expect(after - before).toBe(wireOf() - wire);
      expect(after - before).toBeGreaterThan(20 * 8);
    });

    test('shares are kept', async () => {
      await steer.apply(planOf('share', { private: 0.7, 'public-a': 0.3 }), journal);
      const names = await client.open('s', VIP, PORT, 400);
      expect(count(names, 'private') + count(names, 'public-a')).toBe(400);
      // Binomial(400, 0.3): six standard deviations.
      expect(Math.abs(count(names, 'public-a') - 120)).toBeLessThan(6 * Math.sqrt(400 * 0.3 * 0.7));
      await client.close('');
    });

    test('a link that goes down is drained at once, and new flows return with it', async () => {
      await steer.apply(planOf('down', { 'public-a': 1 }), journal);
      expect(count(await client.open('before', VIP, PORT, 3), 'public-a')).toBe(3);
      gateway('ip', 'link', 'set', 'public-a', 'down');
      expect(count(await client.open('while', VIP, PORT, 5), 'private')).toBe(5);
      gateway('ip', 'link', 'set', 'public-a', 'up');
      expect(await client.until(VIP, PORT, 'public-a')).not.toBeNull();
      await client.close('');
    });

    test('without a sign of life the routing table decides again, and with one steering does', async () => {
      await steer.apply(planOf('alive', { 'public-a': 1 }), journal);
      source.steering!.heartbeat(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(count(await client.open('dead', VIP, PORT, 5), 'private')).toBe(5);
      expect(counters().asleep).toBeGreaterThan(0);
      source.steering!.heartbeat(0);
      expect(count(await client.open('back', VIP, PORT, 5), 'public-a')).toBe(5);
      await client.close('');
    });

    test('where queues must be passed XDP only marks, the stack sends, and HTB has the packets in their class', async ({
      skip: skipHere,
    }) => {
      const steering = source.steering!;
      if (!steering.state().defers) skipHere('needs tcx (Linux 6.6)');
      await steer.apply(planOf('stack', { 'public-a': 1 }), journal);
      const { name: interfaceName, peerIPv4: nextHopIPv4 } = lab.interfaces.find(
        (i) => i.linkId === 'public-a',
      )!;
      const link = { linkId: 'public-a', interfaceName, netns: lab.gatewayNetns, nextHopIPv4, outside: true };
      const htb = new HtbActuator({
        links: [link],
        endpointsOf: () => [{ address: VIP, protocol: 'tcp', port: PORT }],
        netns: lab.gatewayNetns,
      });
      const ceilings = new MemoryJournal();
      const { allocations, ...rest } = planOf('ceiling', { 'public-a': 1 });
      await htb.apply({ ...rest, allocations: allocations.map((a) => ({ ...a, rateBps: 100e6 })) }, ceilings);
      steering.setLink({ ...link, viaStack: true });
      const before = counters();
      expect(count(await client.open('stack', VIP, PORT, 5), 'public-a')).toBe(5);
      expect(await client.echo('stack', 100_000)).toBe(5);
      expect(counters().deferred).toBeGreaterThan(before.deferred + 5 * 70); // 100 kB are 70 segments
      const shown = gateway('tc', '-s', 'class', 'show', 'dev', interfaceName, 'classid', '71de:15');
      const [, octets = '0', dropped = ''] = /Sent (\d+) bytes \d+ pkt \(dropped (\d+)/.exec(shown) ?? [];
      expect(Number(octets)).toBeGreaterThan(500_000);
      expect(dropped).toBe('0');
      await htb.rollback(ceilings);
      await htb.close();
      steering.setLink({ ...link, viaStack: false });
      await client.close('');
    });

    test('the longest prefix wins, then the port', async () => {
      const others = source.steering!.rules();
      const [private_, publicA] = [{ private: 1 }, { 'public-a': 1 }];
      const place = async (...rules: SteeredRule[]): Promise<string> => {
        await source.steering!.apply([...others.filter((r) => r.port !== PORT), ...rules]);
        const [name = ''] = await client.open('lpm', VIP, PORT, 1);
        await client.close('');
        return name;
      };
      const wide = { address: '192.0.2.128', prefixLength: 25, port: 0 };
      const exact = { address: VIP, port: PORT };
      expect(await place(rule({ ...wide, weights: publicA }))).toBe('public-a');
      expect(await place(rule({ ...wide, weights: publicA }), rule({ ...exact, weights: private_ }))).toBe(
        'private',
      );
      expect(
        await place(
          rule({ ...wide, weights: private_ }),
          rule({ address: VIP, port: 0, weights: private_ }),
          rule({ ...exact, weights: publicA }),
        ),
      ).toBe('public-a');
      await source.steering!.apply(others);
    });

    test('bad rules are refused with the reason, and nothing changes', async () => {
      const steering = source.steering!;
      const before = steering.rules();
      const refused = (...rules: SteeredRule[]) => steering.apply([...before, ...rules]);
      await expect(refused(rule({ weights: { mars: 1 } }))).rejects.toMatchObject({
        code: 'TG_CAPTURE_STEER_LINK',
        message: expect.stringContaining('mars'),
      });
      await expect(
        refused(
          rule({ address: '198.51.100.7', prefixLength: 24 }),
          rule({ workloadId: 10, address: '198.51.100.9', prefixLength: 24 }),
        ),
      ).rejects.toMatchObject({
        code: 'TG_CAPTURE_STEER_RULE',
        message: expect.stringMatching(/workloads 9 and 10 both/),
      });
      await expect(refused(rule({ weights: {} }))).rejects.toMatchObject({ code: 'TG_CAPTURE_STEER_RULE' });
      await expect(refused(rule({ weights: { 'public-a': -1 } }))).rejects.toMatchObject({
        code: 'TG_CAPTURE_STEER_RULE',
      });
      await expect(refused(rule({ prefixLength: 33 }))).rejects.toMatchObject({
        code: 'TG_CAPTURE_STEER_RULE',
      });
      await expect(refused(rule({ address: 'nowhere' }))).rejects.toMatchObject({
        code: 'TG_CAPTURE_STEER_RULE',
      });
      await expect(
        refused(...Array.from({ length: 1100 }, (_, i) => rule({ port: 10_000 + i }))),
      ).rejects.toMatchObject({ code: 'TG_CAPTURE_STEER_ROOM' });
      expect(steering.rules()).toEqual(before);
      const refusals = (await steer.preview(planOf('bad', { 'public-a': 0.5, private: 0.4 }))).refused;
      expect(refusals[0]?.reason).toMatch(/sum to 0.9/);
      expect((await steer.preview(planOf('bad', { mars: 1 }))).refused[0]?.reason).toBe(
        'there is no link "mars"',
      );
    });

    test('an interface that vanished is told, its flows go elsewhere; made anew, it is taken in with its new index', async () => {
      await steer.apply(planOf('gone', { 'public-a': 1 }), journal);
      const index = () => source.steering!.state().links.find((link) => link.name === 'public-a')!.ifindex;
      const old = index();
      gateway('ip', 'link', 'del', 'public-a');
      const told = await steer.verify();
      expect(told.holds).toBe(false);
      expect(told.differences.join()).toMatch(/public-a cannot be steered to: its interface does not exist/);
      expect(count(await client.open('away', VIP, PORT, 5), 'private')).toBe(5);
      execFileSync('ip', [
      'link', 'add', 'public-a', 'netns', lab.namespaceOf('gateway'), 'type', 'veth',
      'peer', 'name', 'uplink', 'netns', lab.namespaceOf('public-a'),
    ]); // biome-ignore format: one command
      gateway('ip', 'addr', 'add', '198.51.100.1/24', 'dev', 'public-a');
      gateway('ip', 'link', 'set', 'public-a', 'up');
      expect(await steer.verify()).toMatchObject({ holds: true });
      expect(index()).not.toBe(old);
      await client.close('');
    });
  },
);
