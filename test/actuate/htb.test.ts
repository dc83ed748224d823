import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { quantiseRate } from '../../src/actuate/htb-commands.js';
import { type ActuationPlan, HtbActuator } from '../../src/actuate/index.js';
import { MemoryJournal } from '../support/memory-journal.js';
import { type NetnsPair, netnsPair, netnsSkipReason } from '../support/netns.js';
import { Talker } from '../support/talker.js';

const skip = netnsSkipReason();
const PORT = 7100;

test('ceilings are rounded down to what tc prints exactly', () => {
  expect(quantiseRate(12_345_678)).toBe(12_345_000);
  expect(quantiseRate(1_234_567_890)).toBe(1_234_000_000);
});

describe.skipIf(skip !== undefined)(`htb actuator${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
  let pair: NetnsPair;
  let htb: HtbActuator;
  let journal: MemoryJournal;
  const talkers: Talker[] = [];
  const plan = (planId: string, rateBps: number, workloadId = 3, target = 'out'): ActuationPlan => ({
    planId,
    createdMs: 0,
    expiresMs: 1e15,
    allocations: [
      {
        workloadId,
        workloadName: 'backup',
        resource: 'bandwidth',
        target,
        rateBps,
        fromMs: 0,
        untilMs: 1e15,
      },
    ],
  });
  const make = (replaceQdisc = false): HtbActuator =>
    new HtbActuator({
      links: [{ linkId: 'out', interfaceName: 'left' }],
      endpointsOf: (id) =>
        id === 3
          ? [
              { address: pair.rightIPv4, protocol: 'tcp', port: PORT },
              { address: pair.rightIPv6, protocol: 'tcp', port: PORT },
            ]
          : [],
      netns: pair.leftPath,
      replaceQdisc,
    });
  const tc = (...args: string[]): string =>
    execFileSync('nsenter', [`--net=${pair.leftPath}`, 'tc', ...args], { encoding: 'utf8', stdio: 'pipe' });
  const roots = (): string => tc('qdisc', 'show', 'dev', 'left', 'root');
  /** Octets that HTB's class sent, and packets it dropped. */
  const classStatistics = (): { octets: number; dropped: number } => {
    const text = tc('-s', 'class', 'show', 'dev', 'left', 'classid', '71de:13');
    const [, octets = '0', dropped = '0'] = /Sent (\d+) bytes \d+ pkt \(dropped (\d+)/.exec(text) ?? [];
    return { octets: Number(octets), dropped: Number(dropped) };
  };

  beforeAll(async () => {
    pair = await netnsPair();
    const server = new Talker(pair.rightPath);
    const client = new Talker(pair.leftPath);
    talkers.push(server, client);
    await server.serve(pair.rightIPv4, PORT, 'four');
    await server.serve(pair.rightIPv6, PORT, 'six');
    await server.serve(pair.rightIPv4, PORT + 1, 'other');
  });
  afterAll(async () => {
    await Promise.all(talkers.map((talker) => talker.end()));
    await pair?.remove();
  });
  afterEach(async () => {
    await htb.close();
    await talkers[1]!.close('');
  });

  test('traffic of the workload, IPv4 and IPv6, is held to the ceiling; other traffic is not; none is lost', async () => {
    htb = make();
    journal = new MemoryJournal();
    const before = roots();
    const client = talkers[1]!;
    await htb.apply(plan('a', 8e6), journal);
    await client.open('four', pair.rightIPv4, PORT, 1);
    await client.open('six', pair.rightIPv6, PORT, 1);
    await client.open('other', pair.rightIPv4, PORT + 1, 1);
    const timed = async (from: string): Promise<number> => {
      const began = performance.now();
      expect(await client.echo(from, 1_000_000)).toBe(1);
      return (performance.now() - began) / 1000;
    };
    // 1 MB at 8 Mbit/s takes one second, less the burst. A ceiling can only be exceeded, never be too slow for sure.
    for (const from of ['four', 'six']) expect(await timed(from)).toBeGreaterThan(0.8);
    const shaped = classStatistics();
    expect(shaped.octets).toBeGreaterThan(2_000_000);
    expect(shaped.dropped).toBe(0);
    expect(await client.echo('other', 1_000_000)).toBe(1);
    expect(classStatistics().octets - shaped.octets).toBeLessThan(10_000);
    // The ceiling moves under load, and nothing is lost by it.
    const flow = client.echo('four', 2_000_000);
    for (let i = 0; i < 20; i += 1) await htb.apply(plan(`b${i}`, i % 2 === 0 ? 80e6 : 16e6), journal);
    expect(await flow).toBe(1);
    expect(classStatistics().dropped).toBe(0);
    expect(await htb.verify()).toMatchObject({ holds: true });
    for (let i = 0; i < 21; i += 1) await htb.rollback(journal);
    expect(roots()).toBe(before);
  });

  test('a qdisc of somebody else is left alone unless the operator says otherwise', async () => {
    htb = make();
    journal = new MemoryJournal();
    tc(
      'qdisc',
      'add',
      'dev',
      'left',
      'root',
      'handle',
      '5:',
      'tbf',
      'rate',
      '1gbit',
      'burst',
      '1mb',
      'latency',
      '50ms',
    );
    const before = roots();
    await expect(htb.apply(plan('a', 8e6), journal)).rejects.toMatchObject({
      code: 'TG_ACTUATE_APPLY',
      message: expect.stringContaining('root qdisc of somebody else (tbf 5:)'),
    });
    expect(roots()).toBe(before);
    await htb.close();
    htb = make(true);
    await htb.apply(plan('b', 8e6), journal);
    expect(roots()).toContain('htb 71de:');
    await htb.rollback(journal);
  });

  test('a child that was killed is replaced; a command that fails says so', async () => {
    htb = make();
    journal = new MemoryJournal();
    await htb.apply(plan('a', 8e6), journal);
    const pid = readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .find((entry) => {
        try {
          const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
          return stat.includes('(tc)') && stat.split(') ')[1]?.split(' ')[1] === String(process.pid);
        } catch {
          return false;
        }
      });
    expect(pid).toBeDefined();
    process.kill(Number(pid), 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await htb.apply(plan('b', 9e6), journal);
    expect(await htb.verify()).toMatchObject({ holds: true });
    await htb.rollback(journal);
    await htb.rollback(journal);
  });

  test.each([
    ['an unknown link', () => plan('x', 8e6, 3, 'mars'), /no link "mars"/],
    ['a ceiling of nothing', () => plan('x', 0), /below 8 kbit/],
    ['a workload without known endpoints', () => plan('x', 8e6, 4), /no endpoint/],
    ['a workload id without class number', () => plan('x', 8e6, 70_000), /no class number/],
  ])('%s is refused and changes nothing', async (_what, bad, words) => {
    htb = make();
    const { steps, refused } = await htb.preview(bad());
    expect(steps).toEqual([]);
    expect(refused[0]?.reason).toMatch(words);
  });
});
