import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  LAB_WORKLOADS,
  LabTopology,
  LabTraffic,
  type LabWorkload,
  type TrafficReport,
} from '../../src/lab/index.js';
import { processesIn, runInNamespace } from '../../src/lab/namespaces.js';
import { interfaceCounters, netnsSkipReason, uniqueName } from '../support/netns.js';

const skip = netnsSkipReason();

test('options that make no sense are refused', () => {
  const topology = new LabTopology({ name: 'unused' });
  for (const options of [{ seasonMs: 10 }, { seasonMs: Number.NaN }, { scale: 0 }])
    expect(() => new LabTraffic({ topology, ...options })).toThrowError(
      expect.objectContaining({ code: 'TG_LAB_OPTION' }),
    );
});

describe.skipIf(skip !== undefined)(`lab traffic${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tidegate-lab-state-'));
  const topology = new LabTopology({ name: uniqueName('tgt'), stateDirectory });
  let report: TrafficReport;
  let pids: readonly number[];
  let icmpErrors: number;
  let counters: ReturnType<typeof interfaceCounters>;
  const sum = (
    workload: LabWorkload,
    side: 'client' | 'server',
    what: 'sentOctets' | 'receivedOctets',
  ): number =>
    report.sides
      .filter((s) => s.workload === workload && s.side === side)
      .reduce((total, s) => total + s[what], 0);

  beforeAll(async () => {
    await topology.start();
    const traffic = new LabTraffic({ topology, seasonMs: 5_000, epochMs: Date.now() });
    await traffic.start();
    pids = traffic.pids;
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect((await traffic.report()).sides.length).toBeGreaterThan(0);
    await traffic.stop();
    report = traffic.finalReport!;
    counters = interfaceCounters(topology.gatewayNetns);
    const snmp = await runInNamespace(topology.namespaceOf('public-a'), 'cat /proc/net/snmp6');
    icmpErrors = Number(/^Icmp6OutDestUnreachs\s+(\d+)/m.exec(snmp)?.[1] ?? 0);
  });
  afterAll(async () => {
    await topology.stop();
    rmSync(stateDirectory, { recursive: true, force: true });
  });

  test('every workload exchanges data', () => {
    for (const { name } of LAB_WORKLOADS) {
      expect(sum(name, 'client', 'sentOctets'), name).toBeGreaterThan(0);
      expect(sum(name, 'server', 'receivedOctets'), name).toBeGreaterThan(0);
    }
    expect(report.sides.reduce((total, side) => total + side.errors, 0)).toBe(0);
  });

  test.each(LAB_WORKLOADS.filter((spec) => spec.protocol === 'tcp').map((spec) => spec.name))(
    '%s: what one side sent the other received',
    (name) => {
      expect(sum(name, 'server', 'receivedOctets')).toBe(sum(name, 'client', 'sentOctets'));
      expect(sum(name, 'client', 'receivedOctets')).toBe(sum(name, 'server', 'sentOctets'));
    },
  );

  test('the gateway carried at least what the applications sent', () => {
    const sent = report.sides
      .filter((side) => side.workload !== 'web' || side.node !== 'public-a')
      .reduce((total, side) => total + side.sentOctets, 0);
    const ports = ['private', 'public-a', 'public-b'].map((name) => counters.get(name)!);
    expect(ports.reduce((total, port) => total + port.rxOctets, 0)).toBeGreaterThanOrEqual(sent);
    // Every packet that came in by one NIC left by another, except the gateway's own neighbour discovery.
    const exchanges = report.sides
      .filter((side) => side.workload === 'api' && side.side === 'server')
      .reduce((total, side) => total + side.exchanges, 0);
    expect(counters.get('private')!.txPackets).toBeGreaterThan(exchanges);
  });

  test('a datagram to a closed port made the far kernel answer with ICMP', () => {
    expect(icmpErrors).toBeGreaterThan(0);
  });

  test('the processes ended and the namespaces are empty', () => {
    expect(pids).toHaveLength(3);
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(processesIn(topology.namespaces)).toEqual([]);
  });
});
