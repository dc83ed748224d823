import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { detachPinned } from '../../src/capture/bpf.js';
import { XdpSource } from '../../src/capture/xdp.js';
import type { XdpOptions } from '../../src/capture/xdp-options.js';
import { Reader } from '../support/pinned-reader.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair } from '../support/veth.js';

const FOREIGN = 'build/test/foreign.bpf.o';
const skip =
  bpfSkipReason() ?? (existsSync(FOREIGN) ? undefined : `needs programs of others (make ${FOREIGN})`);

describe.skipIf(skip !== undefined)(
  `beside programs and offloads of others${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });
    const pair = (tag: string): VethPair => {
      const veth = new VethPair(tag);
      cleanups.push(() => veth.remove());
      return veth;
    };
    const meter = async (options: XdpOptions) => {
      const source = new XdpSource(options);
      cleanups.push(() => source.stop());
      const stored = { packets: 0, octets: 0, vlans: new Map<number, number>(), ports: new Set<number>() };
      source.onBatch = (batch) => {
        const forward = batch.column('packetDeltaCount', 'u64');
        const octets = batch.column('octetDeltaCount', 'u64');
        const vlans = batch.column('dot1qVlanId', 'u16');
        const ports = batch.column('sourceTransportPort', 'u16');
        for (let row = 0; row < batch.rows; row += 1) {
          const packets = Number(forward[row]!);
          stored.packets += packets;
          stored.octets += Number(octets[row]!);
          stored.vlans.set(vlans[row]!, (stored.vlans.get(vlans[row]!) ?? 0) + packets);
          stored.ports.add(ports[row]!);
        }
        batch.release();
      };
      await source.start();
      return { source, stored };
    };
    const foreignXdp = (veth: VethPair): void => {
      veth.exec('ip', 'link', 'set', 'dev', 'in', 'xdpdrv', 'obj', FOREIGN, 'sec', 'xdp.frags');
    };
    const withoutXdp = (veth: VethPair): void => {
      veth.exec('ip', 'link', 'set', 'dev', 'in', 'xdpdrv', 'off');
    };
    const programOn = (veth: VethPair): string =>
      /prog\/xdp id (\d+)/.exec(veth.exec('ip', 'link', 'show', 'dev', 'in'))?.[1] ?? '';
    const listed = (what: 'prog' | 'link'): { id: number; name?: string; prog_id?: number }[] =>
      JSON.parse(execFileSync('bpftool', ['-j', what, 'show'], { encoding: 'utf8' }));
    /** Programs of ours at a tc hook somewhere, by their ids. */
    const tcPrograms = (): number[] => {
      const ours = listed('prog').filter(({ name }) => name === 'gateway_ingress');
      const linked = new Set(listed('link').map((link) => link.prog_id));
      return ours.flatMap(({ id }) => (linked.has(id) ? [id] : []));
    };

    test('an XDP program that is there stays; what it lets pass is metered behind it', async () => {
      const veth = pair('coexist');
      foreignXdp(veth);
      const before = programOn(veth);
      expect(before).not.toBe('');
      const refused = new XdpSource({ interfaces: [veth.metered] });
      await expect(refused.start()).rejects.toMatchObject({
        code: 'TG_CAPTURE_XDP_BUSY',
        hint: expect.stringContaining('capture.coexist: tc'),
      });
      const others = tcPrograms();
      const { source, stored } = await meter({ interfaces: [veth.metered], coexist: 'tc' });
      const ours = tcPrograms().filter((id) => !others.includes(id));
      expect(ours).not.toEqual([]);
      expect(source.interfaces()).toMatchObject([
        { mode: 'tc', reason: expect.stringContaining(`behind XDP program ${before} of others`) },
      ]);
      // Ports 20000 to 20019, of which every other one is dropped.
      veth.sendUdp(20, 50);
      await source.flush();
      expect(veth.wire().packets).toBe(1000);
      expect(stored.packets).toBe(500);
      expect(stored.octets).toBe(500 * 128);
      expect([...stored.ports].every((port) => port % 2 === 0)).toBe(true);
      expect(source.interfaces()).toMatchObject([{ rxPackets: 500, rxOctets: 500 * 128, txPackets: 0 }]);
      expect(source.counters()).toMatchObject({ seenPackets: 500, deliveredPackets: 500 });
      const audit = source.audit();
      expect(audit.counted).toEqual(audit.derived);
      expect(programOn(veth)).toBe(before);
      await source.stop();
      expect(programOn(veth)).toBe(before);
      // The kernel ends a link some time after its last user has gone.
      for (let i = 0; i < 250 && ours.some((id) => tcPrograms().includes(id)); i += 1) await sleep(20);
      expect(tcPrograms().filter((id) => ours.includes(id))).toEqual([]);
    });

    test('what GRO put together counts as the packets on the wire', async () => {
      const veth = pair('gro');
      foreignXdp(veth);
      const { source, stored } = await meter({ interfaces: [veth.metered], coexist: 'tc' });
      await veth.transferTcp(3_000_000);
      await source.flush();
      // The peer hands over what TCP segmentation left whole, but for a connection from an odd port.
      const counters = source.counters();
      expect(counters.seenPackets).toBe(stored.packets);
      if (stored.packets > 0) expect(stored.octets).toBeGreaterThan(3_000_000 + stored.packets * 40);
    });

    test('across kill -9 the link at tc is taken over, and no packet is counted twice', async () => {
      const veth = pair('tckill');
      const pinName = `test-tckill-${process.pid}`;
      cleanups.push(() => {
        detachPinned(pinName);
      });
      foreignXdp(veth);
      const options = { interfaces: [veth.metered], coexist: 'tc' as const, pinName };
      const delivered = new Map<string, number>();
      const reader = new Reader(options, delivered);
      cleanups.push(() => {
        reader.child.kill('SIGKILL');
      });
      await reader.ready();
      veth.sendUdp(20, 20);
      await reader.kill();
      veth.sendUdp(20, 20);
      const { source } = await meter(options);
      veth.sendUdp(20, 10);
      await source.flush();
      expect(source.counters()).toMatchObject({ seenPackets: 500, deliveredPackets: 500 });
    });

    test('when the other program has gone and XDP is ours, the link at tc that a killed process left is given up', async () => {
      const veth = pair('tcgone');
      const pinName = `test-tcgone-${process.pid}`;
      cleanups.push(() => {
        detachPinned(pinName);
        detachPinned(pinName);
      });
      foreignXdp(veth);
      const options = { interfaces: [veth.metered], pinName };
      const delivered = new Map<string, number>();
      const reader = new Reader({ ...options, coexist: 'tc' }, delivered);
      cleanups.push(() => {
        reader.child.kill('SIGKILL');
      });
      await reader.ready();
      veth.sendUdp(20, 20);
      await reader.kill();
      withoutXdp(veth);
      const { source } = await meter(options);
      expect(source.interfaces()).toMatchObject([{ mode: 'native' }]);
      veth.sendUdp(20, 10);
      await source.flush();
      // Every other one while the other program was there, each one once since.
      expect(source.counters()).toMatchObject({ seenPackets: 400, deliveredPackets: 400 });
    });

    test.each([
      { mode: 'native' as const, foreign: false, vlan: 77 },
      { mode: 'auto' as const, foreign: true, vlan: 77 },
      // Generic XDP cannot ask: the records say no VLAN, and a warning says why.
      { mode: 'generic' as const, foreign: false, vlan: 0 },
    ])(
      'a VLAN tag beside the frame: $mode, behind another program: $foreign',
      async ({ mode, foreign, vlan }) => {
        const veth = pair('tags');
        veth.execNear('tc', 'qdisc', 'add', 'dev', 'out', 'clsact');
        veth.execNear(
          'tc',
          'filter',
          'add',
          'dev',
          'out',
          'egress',
          'bpf',
          'da',
          'obj',
          FOREIGN,
          'sec',
          'tc',
        );
        if (foreign) foreignXdp(veth);
        const { source, stored } = await meter({
          interfaces: [veth.metered],
          mode,
          ...(foreign ? { coexist: 'tc' } : {}),
        });
        veth.sendUdp(10, 20);
        await source.flush();
        expect(veth.wire().packets).toBe(200);
        expect(Object.fromEntries(stored.vlans)).toEqual({ [vlan]: foreign ? 100 : 200 });
      },
    );
  },
);
