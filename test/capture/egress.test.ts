import { existsSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { XdpSource } from '../../src/capture/xdp.js';
import type { XdpInterface, XdpOptions } from '../../src/capture/xdp-options.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair } from '../support/veth.js';

const skip = bpfSkipReason();
const vlanDevices = existsSync('/proc/net/vlan');

describe.skipIf(skip !== undefined)(
  `what this host itself sends${skip === undefined ? '' : ` (skipped: ${skip})`}`,
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

    const meter = async (interfaces: XdpInterface[], options: Partial<XdpOptions> = {}) => {
      const source = new XdpSource({ interfaces, egress: true, ...options });
      cleanups.push(() => source.stop());
      const stored = { packets: 0, octets: 0, rows: [] as { source: number; packets: number }[] };
      source.onBatch = (batch) => {
        const counts = (name: 'packetDeltaCount' | 'reversePacketDeltaCount') => batch.column(name, 'u64');
        const forward = counts('packetDeltaCount');
        const reverse = counts('reversePacketDeltaCount');
        const octets = [
          batch.column('octetDeltaCount', 'u64'),
          batch.column('reverseOctetDeltaCount', 'u64'),
        ];
        const ports = batch.column('sourceTransportPort', 'u16');
        for (let row = 0; row < batch.rows; row += 1) {
          const packets = Number(forward[row]! + reverse[row]!);
          stored.packets += packets;
          stored.octets += Number(octets[0]![row]! + octets[1]![row]!);
          stored.rows.push({ source: ports[row]!, packets });
        }
        batch.release();
      };
      await source.start();
      return { source, stored };
    };

    const sent = (veth: VethPair): number => veth.wire().packets;

    test('every packet that leaves by a metered interface is counted once, in both directions', async () => {
      const veth = pair('own');
      const near = { name: 'out', netns: `/run/netns/${veth.near}` };
      const { source, stored } = await meter([near]);
      veth.sendUdp(20, 50);
      await source.flush();
      // The receiving side answers with ICMP, which comes in: XDP counts it.
      const [state] = source.interfaces();
      expect(state).toMatchObject({ txPackets: sent(veth), txOctets: sent(veth) * 128 });
      expect(sent(veth)).toBe(1000);
      const counters = source.counters();
      expect(counters.seenPackets).toBe(state!.txPackets + state!.rxPackets);
      expect(stored.packets).toBe(counters.seenPackets);
      expect(new Set(stored.rows.map((row) => row.source)).size).toBeGreaterThanOrEqual(20);
    });

    test('a packet that comes in by one metered interface and leaves by another is counted once', async () => {
      const left = pair('fwda');
      const right = pair('fwdb');
      // left.near sends → left.far forwards → right.near, which is moved into left.far as `up`.
      const run = (...command: string[]): string => left.exec(...command);
      run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
      right.execNear('ip', 'link', 'set', 'out', 'netns', left.far);
      run('ip', 'addr', 'add', '10.8.0.1/24', 'dev', 'out');
      run('ip', 'link', 'set', 'out', 'up');
      run('ip', 'neigh', 'replace', '10.8.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'out');
      right.exec('ip', 'addr', 'flush', 'dev', 'in');
      right.exec('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'in');
      left.execNear('ip', 'route', 'add', '10.8.0.0/24', 'via', '10.9.0.2');
      const netns = `/run/netns/${left.far}`;
      const { source, stored } = await meter([
        { name: 'in', netns },
        { name: 'out', netns },
      ]);
      left.sendUdp(10, 30, 100, '10.8.0.2');
      await source.flush();
      const delivered = right.exec('cat', '/sys/class/net/in/statistics/rx_packets').trim();
      expect(Number(delivered)).toBe(300);
      expect(source.interfaces()).toMatchObject([
        { name: 'in', rxPackets: 300, txPackets: 0 },
        { name: 'out', rxPackets: 0, txPackets: 0 },
      ]);
      expect(source.counters().seenPackets).toBe(300);
      expect(stored.packets).toBe(300);
    });

    test.skipIf(!vlanDevices)(
      `a packet that leaves through a VLAN device over a metered interface is counted once, with its tag${
        vlanDevices ? '' : ' (skipped: this kernel has no VLAN devices, 8021q)'
      }`,
      async () => {
        const veth = pair('vlan');
        const netns = `/run/netns/${veth.near}`;
        veth.execNear('ip', 'link', 'add', 'link', 'out', 'name', 'v42', 'type', 'vlan', 'id', '42');
        veth.execNear('ip', 'addr', 'add', '10.7.0.1/24', 'dev', 'v42');
        veth.execNear('ip', 'link', 'set', 'v42', 'up');
        veth.execNear('ip', 'neigh', 'replace', '10.7.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'v42');
        const vlans: number[] = [];
        const { source } = await meter([{ name: 'out', netns }]);
        source.onBatch = (batch) => {
          vlans.push(...batch.column('dot1qVlanId', 'u16').subarray(0, batch.rows));
          batch.release();
        };
        veth.sendUdp(4, 5, 100, '10.7.0.2', '10.7.0.1');
        await source.flush();
        expect(source.interfaces()[0]).toMatchObject({ txPackets: 20 });
        expect(vlans).toEqual([42, 42, 42, 42]);
        await source.stop();

        const both = await meter([
          { name: 'out', netns },
          { name: 'v42', netns },
        ]);
        veth.sendUdp(4, 5, 100, '10.7.0.2', '10.7.0.1');
        await both.source.flush();
        expect(both.stored.packets).toBe(20);
        expect(both.source.counters().seenPackets).toBe(20);
      },
    );

    test('a segmentation offload counts as the packets that are on the wire', async () => {
      const veth = pair('gso');
      const { source, stored } = await meter([{ name: 'out', netns: `/run/netns/${veth.near}` }]);
      // The device segments in software, behind the hook: what the other end receives are wire packets.
      veth.execNear('ethtool', '-K', 'out', 'tso', 'off');
      await veth.transferTcp(2_000_000);
      await source.flush();
      const [state] = source.interfaces();
      const received = Number(veth.exec('cat', '/sys/class/net/in/statistics/rx_packets').trim());
      expect(state!.txPackets).toBe(received);
      expect(stored.packets).toBe(source.counters().seenPackets);
      expect(stored.packets).toBe(state!.txPackets + state!.rxPackets);
      // Each of these packets has 52 octets of headers or more: nothing is counted twice, nothing is missing.
      expect(state!.txOctets).toBeGreaterThan(2_000_000 + (2_000_000 / 1448) * 52);
      expect(state!.txOctets).toBeLessThan(2_000_000 + received * 60 + 1000);
    });

    test('stop takes the program off again', async () => {
      const veth = pair('off');
      const { source } = await meter([{ name: 'out', netns: `/run/netns/${veth.near}` }]);
      veth.sendUdp(1, 10);
      await source.stop();
      veth.sendUdp(1, 10);
      expect(veth.wire().packets).toBe(20);
      expect(source.interfaces()).toMatchObject([{ txPackets: 10 }]);
    });
  },
);
