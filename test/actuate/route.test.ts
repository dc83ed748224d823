import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ActuationPlan, type LinkWeights, RouteActuator } from '../../src/actuate/index.js';
import { LAB_BURST, LAB_BURST_CLIENTS, LAB_TRANSIT, LabTopology } from '../../src/lab/index.js';
import { MemoryJournal } from '../support/memory-journal.js';
import { interfaceCounters, nftSkipReason, uniqueName } from '../support/netns.js';
import { Talker } from '../support/talker.js';

const skip = nftSkipReason();
const VIP = LAB_BURST.ipv4;
const PORT = 7007;

const planOf = (planId: string, weights: LinkWeights, workloadId = 5): ActuationPlan => ({
  planId,
  createdMs: 0,
  expiresMs: 1e15,
  allocations: Object.entries(weights).map(([target, share]) => ({
    workloadId,
    workloadName: 'web',
    resource: 'bandwidth',
    target,
    share,
    fromMs: 0,
    untilMs: 1e15,
  })),
});

describe.skipIf(skip !== undefined)(
  `route actuator${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const stateDirectory = mkdtempSync(join(tmpdir(), 'tidegate-route-'));
    const lab = new LabTopology({ name: uniqueName('tgt'), stateDirectory });
    const talkers: Talker[] = [];
    let client: Talker;
    let route: RouteActuator;
    const journal = new MemoryJournal();
    const options = () => ({
      links: lab.interfaces.map((i) => ({
        linkId: i.linkId,
        interfaceName: i.name,
        network: i.network,
        nextHopIPv4: i.peerIPv4,
        nextHopIPv6: i.peerIPv6,
      })),
      endpointsOf: (id: number) =>
        ({
          5: [{ address: VIP, protocol: 'tcp' as const, port: PORT }],
          6: [{ address: LAB_TRANSIT.hosts[0], protocol: 'tcp' as const, port: PORT }],
          7: [{ address: 'fd00:20::31', protocol: 'tcp' as const, port: PORT }],
        })[id] ?? [],
      steeringOf: (id: number) => (id === 5 ? ('placement' as const) : ('way-out' as const)),
      netns: lab.gatewayNetns,
    });
    const count = (names: string[], name: string): number => names.filter((n) => n === name).length;
    const gateway = (...command: string[]): string =>
      execFileSync('nsenter', [`--net=${lab.gatewayNetns}`, ...command], { encoding: 'utf8', stdio: 'pipe' });

    beforeAll(async () => {
      await lab.start();
      const inside = new Talker(lab.netnsOf('private'));
      const outside = new Talker(lab.netnsOf('public-a'));
      client = new Talker(lab.netnsOf('public-b'), LAB_BURST_CLIENTS[0]);
      talkers.push(inside, outside, client);
      await inside.serve(VIP, PORT, 'private');
      await outside.serve(VIP, PORT, 'public-a');
      route = new RouteActuator(options());
    });
    afterEach(async () => {
      await client.close('');
    });
    afterAll(async () => {
      await route?.close();
      await Promise.all(talkers.map((talker) => talker.end()));
      await lab.stop();
      rmSync(stateDirectory, { recursive: true, force: true });
    });

    test('new flows follow the weights, flows in progress stay, whatever changes', async () => {
      // Older than the steering itself: on the main table's route for life.
      expect(count(await client.open('old', VIP, PORT, 10), 'private')).toBe(10);
      await route.apply(planOf('p1', { 'public-a': 1 }), journal);
      expect(count(await client.open('new', VIP, PORT, 10), 'public-a')).toBe(10);
      expect(await client.echo('old')).toBe(10);
      for (let i = 0; i < 10; i += 1) {
        const plan = planOf(`flip${i}`, i % 2 === 0 ? { private: 1 } : { 'public-a': 1 });
        await route.apply(plan, journal);
        expect(count(await client.open(`f${i}-`, VIP, PORT, 5), i % 2 === 0 ? 'private' : 'public-a')).toBe(
          5,
        );
        expect(await client.echo('')).toBe(20 + 5 * (i + 1));
      }
      expect(await route.verify()).toMatchObject({ holds: true });
    });

    test('shares are kept', async () => {
      await route.apply(planOf('share', { private: 0.7, 'public-a': 0.3 }), journal);
      const names = await client.open('s', VIP, PORT, 400);
      expect(count(names, 'private') + count(names, 'public-a')).toBe(400);
      // Binomial(400, 0.3): six standard deviations.
      expect(Math.abs(count(names, 'public-a') - 120)).toBeLessThan(6 * Math.sqrt(400 * 0.3 * 0.7));
    });

    test('rollback returns to the state before the last plan', async () => {
      await route.apply(planOf('r1', { private: 1 }), journal);
      await route.apply(planOf('r2', { 'public-a': 1 }), journal);
      await route.rollback(journal);
      expect(count(await client.open('rb', VIP, PORT, 5), 'private')).toBe(5);
      expect(await route.verify()).toMatchObject({ holds: true });
    });

    test('what leaves for the outside takes the chosen way out: requests of inside clients, answers of inside servers', async () => {
      const [inside, outside] = talkers as [Talker, Talker, Talker];
      await outside.serve(LAB_TRANSIT.hosts[0], PORT, 'outside');
      await inside.serve('fd00:20::31', PORT, 'inside');
      const visitor = new Talker(lab.netnsOf('public-b'), '2001:db8:b::31');
      talkers.push(visitor);
      const sentBy = (link: string): number => interfaceCounters(lab.gatewayNetns).get(link)!.txOctets;
      const exchange = async (who: Talker, name: string, host: string, octets: number) => {
        const before = ['public-a', 'public-b'].map(sentBy);
        expect(await who.open(name, host, PORT, 1)).toHaveLength(1);
        expect(await who.echo(name, octets)).toBe(1);
        return ['public-a', 'public-b'].map((link, i) => sentBy(link) - before[i]!);
      };
      const octets = 200_000;
      for (const [i, link] of ['public-b', 'public-a', 'public-b'].entries()) {
        await route.apply(planOf(`out${i}`, { [link]: 1 }, 6), journal);
        await route.apply(planOf(`in${i}`, { [link]: 1 }, 7), journal);
        const chosen = link === 'public-a' ? 0 : 1;
        for (const sent of [
          await exchange(inside, `o${i}`, LAB_TRANSIT.hosts[0], octets),
          await exchange(visitor, `i${i}`, 'fd00:20::31', octets),
        ]) {
          expect(sent[chosen]).toBeGreaterThan(octets);
          expect(sent[1 - chosen]).toBeLessThan(octets / 10);
        }
      }
      expect(await inside.echo('o')).toBe(3); // those of before are alive on their links
      expect(await visitor.echo('i')).toBe(3);
    });

    test('another process takes over what it finds in the kernel', async () => {
      await route.apply(planOf('t1', { private: 0.25, 'public-a': 0.75 }), journal);
      const other = new RouteActuator(options());
      try {
        expect((await other.preview(planOf('t2', { private: 0.25, 'public-a': 0.75 }))).steps).toEqual([]);
        const [step] = (await other.preview(planOf('t3', { private: 1 }))).steps;
        expect(step?.before).toEqual({ private: 250, 'public-a': 750 });
      } finally {
        await other.close();
      }
    });

    test('a link that goes down is drained at once, also of marked flows to come', async () => {
      await route.apply(planOf('d1', { 'public-a': 1 }), journal);
      gateway('ip', 'link', 'set', 'public-a', 'down');
      expect(count(await client.open('down', VIP, PORT, 5), 'private')).toBe(5);
      gateway('ip', 'link', 'set', 'public-a', 'up');
      await route.refresh();
      expect(count(await client.open('up', VIP, PORT, 5), 'public-a')).toBe(5);
    });

    test('clear leaves no rule, table or chain behind', async () => {
      await route.clear();
      expect(gateway('ip', 'rule')).not.toMatch(/fwmark/);
      expect(gateway('nft', 'list', 'ruleset')).toBe('');
      expect(gateway('ip', 'route', 'show', 'table', 'all')).not.toMatch(/table 71\d\d/);
    });

    test.each([
      ['an unknown link', planOf('x', { mars: 1 }), /no link "mars"/],
      ['weights that do not sum to 1', planOf('x', { private: 0.5, 'public-a': 0.2 }), /sum to 0.7/],
      ['a negative weight', planOf('x', { private: 1.5, 'public-a': -0.5 }), /not between 0 and 1/],
      ['a workload without known endpoints', planOf('x', { private: 1 }, 99), /no endpoint/],
    ])('%s is refused and changes nothing', async (_what, plan, words) => {
      const { steps, refused } = await route.preview(plan);
      expect(steps).toEqual([]);
      expect(refused.map((r) => r.reason).join()).toMatch(words);
    });
  },
);
