import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { detachPinned, pinDirectory, stateFile } from '../../src/capture/bpf.js';
import type { SourceCounters } from '../../src/capture/source.js';
import { XdpSource } from '../../src/capture/xdp.js';
import { nextLine } from '../support/child-line.js';
import { Reader } from '../support/pinned-reader.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair, xdpInterfaces } from '../support/veth.js';

const BINARY = 'build/test/other-layout';
const skip = bpfSkipReason() ?? (existsSync(BINARY) ? undefined : `needs the other layout (make ${BINARY})`);
const lostOf = (c: SourceCounters, reason?: string): number =>
  c.lost
    .filter((loss) => reason === undefined || loss.reason === reason)
    .reduce((sum, loss) => sum + loss.packets, 0);

describe.skipIf(skip !== undefined)(
  `pins of another layout are drained${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void | Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });
    const setUp = (tag: string) => {
      const veth = new VethPair(tag, 2);
      const pinName = `test-${tag}-${process.pid}`;
      cleanups.push(
        () => veth.remove(),
        () => {
          detachPinned(pinName);
        },
      );
      return { veth, pinName };
    };
    /** Takes over what is pinned; what it stores, and flows by their records. */
    const takeOver = async (veth: VethPair, pinName: string) => {
      const source = new XdpSource({ interfaces: [veth.metered], pinName });
      cleanups.push(() => source.stop());
      const stored = { packets: 0, octets: 0, sizes: 0, gaps: 0, flows: new Map<number, number>() };
      const batches = new Map<string, number>();
      source.onBatch = (batch) => {
        const forward = batch.column('packetDeltaCount', 'u64');
        const octets = batch.column('octetDeltaCount', 'u64');
        const ports = batch.column('sourceTransportPort', 'u16');
        for (let row = 0; row < batch.rows; row += 1) {
          const packets = Number(forward[row]!);
          stored.packets += packets;
          stored.octets += Number(octets[row]!);
          stored.flows.set(ports[row]!, (stored.flows.get(ports[row]!) ?? 0) + packets);
        }
        for (const count of batch.column('packetSizeBins', 'u32')) stored.sizes += count;
        for (const count of batch.column('interArrivalBins', 'u32')) stored.gaps += count;
        if (batch.id !== undefined) batches.set(batch.id, batch.packets);
        batch.release();
      };
      await source.start();
      return { source, stored, batches };
    };
    /** Makes our own pins those of version 0, as an earlier version would have left them. */
    const age = (pinName: string): string => {
      const ours = pinDirectory(pinName);
      const theirs = join(dirname(ours), 'v0');
      mkdirSync(theirs);
      for (const name of readdirSync(ours)) renameSync(join(ours, name), join(theirs, name));
      return theirs;
    };

    test('another build of the programs: records and entries are read as what they are, nothing is lost', async () => {
      const { veth, pinName } = setUp('other');
      const theirs = join(dirname(pinDirectory(pinName)), 'v1004');
      const other = spawn(BINARY, [`${BINARY}.bpf.o`, theirs, veth.metered.name, veth.metered.netns], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      cleanups.push(() => {
        other.kill('SIGKILL');
      });
      expect(await nextLine(other, 'the other layout')).toBe('ready');
      // Twice as many flows as entries, on both CPUs.
      await veth.flood(6000, { threads: 2, flows: 500 });
      other.stdin.end();
      const counted = (await nextLine(other, 'the other layout')).split(' ').map(Number);
      expect(counted[0]).toBe(6000);
      expect(counted[2]).toBeGreaterThan(1000);
      // Its process is gone, its programs go on.
      await veth.flood(2000, { threads: 1, flows: 100 });
      const sending = veth.flood(20_000, { threads: 2, flows: 100 });
      const { source, stored } = await takeOver(veth, pinName);
      await sending;
      expect(source.interfaces()).toMatchObject([
        { mode: 'native', reason: expect.stringContaining('taken over') },
      ]);
      expect(xdpInterfaces(veth.far)).toEqual(['in']);
      expect(existsSync(theirs)).toBe(false);
      await source.flush();
      const counters = source.counters();
      const wire = veth.wire();
      expect(counters.seenPackets).toBe(wire.packets);
      expect(lostOf(counters)).toBe(0);
      expect(counters.deliveredPackets).toBe(wire.packets);
      expect(stored.packets).toBe(wire.packets);
      expect(stored.octets).toBe(counters.seenOctets);
      expect(counters.resident).toEqual({ kernelCache: 0, rings: 0, flowTable: 0, slabs: 0 });
      const audit = source.audit();
      expect(audit.counted).toEqual(audit.derived);
      // Bins of each packet, and a gap before all but the first of each flow.
      expect(stored.sizes).toBe(wire.packets);
      expect(stored.gaps).toBe(wire.packets - stored.flows.size);
      expect(stored.flows.size).toBeGreaterThan(490);
    });

    test('flows in the memory of the dead process are taken over too: every packet is delivered once', async () => {
      const { veth, pinName } = setUp('aged');
      const delivered = new Map<string, number>();
      for (let round = 0; round < 3; round += 1) {
        const reader = new Reader({ interfaces: [veth.metered], pinName }, delivered);
        cleanups.push(() => {
          reader.child.kill('SIGKILL');
        });
        await reader.ready();
        const sending = veth.flood(30_000, { threads: 2, flows: 700 });
        await reader.kill();
        await sending;
        age(pinName);
      }
      const { source, batches } = await takeOver(veth, pinName);
      await source.flush();
      for (const [id, packets] of batches) delivered.set(id, packets);
      const counters = source.counters();
      expect(counters.seenPackets).toBe(veth.wire().packets);
      expect(lostOf(counters)).toBe(0);
      expect([...delivered.values()].reduce((sum, packets) => sum + packets, 0)).toBe(counters.seenPackets);
      expect(counters.deliveredPackets).toBe(counters.seenPackets);
    });

    test('a layout that nobody can read: what it held is lost by name, and by how much', async () => {
      const { veth, pinName } = setUp('alien');
      const delivered = new Map<string, number>();
      const reader = new Reader({ interfaces: [veth.metered], pinName }, delivered);
      await reader.ready();
      await veth.flood(9000, { threads: 1, flows: 700 });
      await reader.kill();
      rmSync(stateFile(pinName));
      await veth.flood(1000, { threads: 1, flows: 700 });
      const theirs = age(pinName);
      const layout = join(theirs, 'layout');
      const words = execFileSync('bpftool', ['-j', 'map', 'dump', 'pinned', layout], { encoding: 'utf8' });
      const value = (JSON.parse(words) as { value: string[] }[])[0]!.value;
      rmSync(layout);
      value[12] = '0x63';
      execFileSync('bpftool', ['map', 'create', layout, 'type', 'array', 'key', '4', 'value', '64', 'entries', '1', 'name', 'layout']); // biome-ignore format: one command
      execFileSync('bpftool', [
        'map',
        'update',
        'pinned',
        layout,
        'key',
        '0',
        '0',
        '0',
        '0',
        'value',
        ...value,
      ]);
      const { source, stored } = await takeOver(veth, pinName);
      const earlier = [...delivered.values()].reduce((sum, packets) => sum + packets, 0);
      let counters = source.counters();
      expect(counters.seenPackets).toBe(10_000);
      expect(lostOf(counters)).toBe(10_000 - earlier);
      expect(lostOf(counters, 'other_layout')).toBe(10_000 - earlier);
      await veth.flood(1000, { threads: 1, flows: 50 });
      await source.flush();
      counters = source.counters();
      expect(counters.seenPackets).toBe(11_000);
      expect(stored.packets).toBe(1000);
      expect(counters.deliveredPackets + lostOf(counters)).toBe(11_000);
    });
  },
);
