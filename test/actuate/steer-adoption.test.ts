import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ActuationPlan, SteerActuator } from '../../src/actuate/index.js';
import { detachPinned } from '../../src/capture/bpf.js';
import { XdpSource } from '../../src/capture/xdp.js';
import { LAB_BURST, LAB_BURST_CLIENTS, LabTopology } from '../../src/lab/index.js';
import { MemoryJournal } from '../support/memory-journal.js';
import { uniqueName } from '../support/netns.js';
import { bpfSkipReason } from '../support/privileges.js';
import { Talker } from '../support/talker.js';

const skip = bpfSkipReason();
const VIP = LAB_BURST.ipv4;
const PORT = 7008;
const endpoint = { address: VIP, protocol: 'tcp' as const, port: PORT };

const planTo = (target: string): ActuationPlan => ({
  planId: `to-${target}`,
  createdMs: 0,
  expiresMs: 1e15,
  allocations: [
    { workloadId: 5, workloadName: 'web', resource: 'bandwidth', target, share: 1, fromMs: 0, untilMs: 1e15 },
  ],
});

describe.skipIf(skip !== undefined)(
  `steering across kill -9${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const stateDirectory = mkdtempSync(join(tmpdir(), 'tidegate-steer-adopt-'));
    const lab = new LabTopology({ name: uniqueName('tgt'), stateDirectory });
    const talkers: Talker[] = [];
    const pinName = `test-steer-${process.pid}`;
    let client: Talker;
    let child: ChildProcess | undefined;
    const sourceOptions = () => ({
      interfaces: lab.interfaces.map((i) => ({ name: i.name, netns: lab.gatewayNetns })),
      pinName,
      // After losses a change waits so long.
      idleTimeoutMs: 4_000,
    });
    const steerOptions = () => ({
      links: lab.interfaces.map((i) => ({
        linkId: i.linkId,
        interfaceName: i.name,
        network: i.network,
        nextHopIPv4: i.peerIPv4,
      })),
      netns: lab.gatewayNetns,
    });
    const count = (names: string[], name: string): number => names.filter((n) => n === name).length;

    /** A gateway that steers everything new to public-a, or to each of several links in turn. */
    async function gateway(deadmanMs?: number, ...targets: string[]): Promise<void> {
      const settings = {
        source: sourceOptions(),
        steer: { ...steerOptions(), ...(deadmanMs === undefined ? {} : { deadmanMs }) },
        plans: ['public-a', ...targets].map(planTo),
        endpoint,
      };
      child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'fixtures', 'pinned-steerer.mjs'), JSON.stringify(settings)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const ready = new Promise<void>((resolve, reject) => {
        child!.stdout!.once('data', () => resolve());
        child!.once('exit', () => reject(new Error('the gateway ended')));
      });
      await ready;
    }
    async function kill(): Promise<void> {
      const gone = new Promise((resolve) => child!.once('exit', resolve));
      child!.kill('SIGKILL');
      await gone;
      child = undefined;
    }

    beforeAll(async () => {
      await lab.start();
      const inside = new Talker(lab.netnsOf('private'));
      const outside = new Talker(lab.netnsOf('public-a'));
      client = new Talker(lab.netnsOf('public-b'), LAB_BURST_CLIENTS[0]);
      talkers.push(inside, outside, client);
      await inside.serve(VIP, PORT, 'private');
      await outside.serve(VIP, PORT, 'public-a');
    });
    afterEach(async () => {
      await client.close('');
      child?.kill('SIGKILL');
      detachPinned(pinName);
    });
    afterAll(async () => {
      await Promise.all(talkers.map((talker) => talker.end()));
      await lab.stop();
      rmSync(stateDirectory, { recursive: true, force: true });
    });

    test('a gateway that dies leaves steering as it was; the next one adopts rules, weights and flows in progress', async () => {
      await gateway();
      expect(count(await client.open('before', VIP, PORT, 8), 'public-a')).toBe(8);
      await kill();
      expect(await client.echo('before')).toBe(8);
      expect(count(await client.open('orphan', VIP, PORT, 8), 'public-a')).toBe(8);
      const source = new XdpSource({ ...sourceOptions(), steering: true });
      source.onBatch = (batch) => batch.release();
      await source.start();
      const steer = new SteerActuator({
        ...steerOptions(),
        endpointsOf: () => [endpoint],
        steeringOf: () => 'placement',
        datapath: () => source.steering,
      });
      try {
        expect(source.steering!.rules()).toMatchObject([
          { workloadId: 5, address: VIP, port: PORT, weights: { 'public-a': 1000 } },
        ]);
        expect((await steer.preview(planTo('public-a'))).steps).toEqual([]);
        expect(await client.echo('')).toBe(16);
        // Flows of the dead gateway's time are in progress for the next one: a change does not move them.
        await steer.apply(planTo('private'), new MemoryJournal());
        expect(count(await client.open('after', VIP, PORT, 8), 'private')).toBe(8);
        expect(await client.echo('')).toBe(24);
      } finally {
        await steer.close();
        await source.stop();
      }
      // An orderly end is the end of steering.
      expect(count(await client.open('end', VIP, PORT, 4), 'private')).toBe(4);
    });

    test('killed in the middle of one change after the other: the rules are those of one of the two plans, no flow moved', async () => {
      for (let round = 0; round < 2; round += 1) {
        await gateway(undefined, 'private');
        const names = await client.open(`round${round}`, VIP, PORT, 12);
        expect(count(names, 'private') + count(names, 'public-a')).toBe(12);
        await sleep(5 + 17 * round);
        await kill();
        const source = new XdpSource({ ...sourceOptions(), steering: true });
        source.onBatch = (batch) => batch.release();
        await source.start();
        const [rule, ...more] = source.steering!.rules();
        expect(more).toEqual([]);
        const [target = '', parts] = Object.entries(rule?.weights ?? {})[0] ?? [];
        expect([target, parts]).toEqual([expect.stringMatching(/^(private|public-a)$/), 1000]);
        expect(await client.echo('')).toBe(12);
        // What was cut off may have moved no bucket yet: made again, it is whole.
        await source.steering!.apply(source.steering!.rules());
        expect(count(await client.open('new', VIP, PORT, 6), target)).toBe(6);
        expect(await client.echo('')).toBe(18);
        await source.stop();
        await client.close('');
      }
    });

    test('with a dead-man timer the routing table decides once the gateway gave no sign of life', async () => {
      // One heartbeat a second: this limit is kept by a living gateway, and broken by a dead one.
      await gateway(1_500);
      await sleep(2_000);
      expect(count(await client.open('alive', VIP, PORT, 4), 'public-a')).toBe(4);
      await kill();
      await sleep(1_600);
      expect(count(await client.open('dead', VIP, PORT, 4), 'private')).toBe(4);
      await gateway(1_500);
      expect(count(await client.open('again', VIP, PORT, 4), 'public-a')).toBe(4);
    });
  },
);
