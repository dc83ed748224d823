import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ActuateConfig, actuateConfig, type JournalEntry } from '../../src/actuate/index.js';
import { PlanOperations } from '../../src/pipeline/plan-operations.js';
import { endpointOf } from '../../src/pipeline/service-endpoint.js';
import type { Plan } from '../../src/plan/index.js';

const START = 1_700_000_000_000;
const MINUTE = 60_000;

const planNamed = (id: string, amounts: readonly number[]): Plan =>
  ({
    id,
    gateway: 'g',
    createdMs: START,
    expiresMs: START + 10 * MINUTE,
    allocations: amounts.map((amount, i) => ({
      workloadId: 7,
      resource: 'cpu',
      target: 'private',
      amount,
      fromMs: START + i * MINUTE,
      untilMs: START + (i + 1) * MINUTE,
    })),
  }) as unknown as Plan;

describe('plan operations', () => {
  let directory: string;
  let nowMs: number;
  let plans: Plan[];
  let rows: JournalEntry[];
  let storeAway: boolean;
  let open: PlanOperations[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidegate-operations-'));
    const program = join(directory, 'receiver');
    writeFileSync(
      program,
      `#!/bin/sh\ncat >> ${directory}/told\necho >> ${directory}/told\n[ ! -e ${directory}/refuse ]\n`,
    );
    chmodSync(program, 0o755);
    nowMs = START;
    plans = [];
    rows = [];
    storeAway = false;
    open = [];
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(async () => {
    for (const operations of open) await operations.stop();
    vi.useRealTimers();
    rmSync(directory, { recursive: true, force: true });
  });

  async function start(settings: Record<string, unknown>): Promise<PlanOperations> {
    const config: ActuateConfig = actuateConfig.parse({
      exec: { command: [join(directory, 'receiver')] },
      ...settings,
    });
    const operations = new PlanOperations({
      gateway: 'g',
      config,
      links: [],
      dataDirectory: directory,
      client: () => ({
        query: async <T>(_sql: string, options?: { params?: Record<string, unknown> }) =>
          plans
            .filter((plan) => plan.id.startsWith(String(options?.params?.id)))
            .slice(0, 2)
            .map((plan) => ({ planId: plan.id, plan: JSON.stringify(plan) })) as T[],
        insertRows: async (_table: string, entries: readonly object[]) => {
          if (storeAway) throw new Error('the store is away');
          rows.push(...(entries as JournalEntry[]));
        },
      }),
      endpointKeysOf: () => [],
      names: () => (id) => `w${id}`,
      logger: pino({ level: 'silent' }),
      now: () => nowMs,
    });
    await operations.start();
    open.push(operations);
    return operations;
  }

  /** CPU cores that the receiver was told of, in order; `null` = as it was before. */
  const told = (): (number | null)[] => {
    try {
      return readFileSync(join(directory, 'told'), 'utf8')
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map(
          (line) =>
            (JSON.parse(line) as { data: { value: { cpuCores: number } | null } }).data.value?.cpuCores ??
            null,
        );
    } catch {
      return [];
    }
  };

  test('what is approved is followed through its periods, and a rollback ends that', async () => {
    const operations = await start({ mode: 'approve', actuators: ['exec'] });
    plans = [planNamed('abc', [1, 2, 2, 3]), planNamed('abd', [9])];
    await operations.offer(plans[0]!);
    expect(told()).toEqual([]); // not asked for yet
    expect((await operations.preview('abc')).previews[0]!.steps).toHaveLength(1);
    await expect(operations.apply('ab')).rejects.toMatchObject({ code: 'TG_PLAN_AMBIGUOUS' });
    await expect(operations.apply('zzz')).rejects.toMatchObject({ code: 'TG_PLAN_UNKNOWN' });
    await expect(operations.apply('')).rejects.toMatchObject({ code: 'TG_PLAN_UNKNOWN' });
    await operations.apply('abc');
    expect(operations.state).toMatchObject({ followingPlanId: 'abc', lastProblem: null });
    for (let minute = 1; minute < 3; minute += 1) {
      nowMs = START + minute * MINUTE;
      await vi.advanceTimersByTimeAsync(1000);
      await vi.waitFor(() => expect(told().at(-1)).toBe(2));
    }
    await operations.verify();
    expect(told()).toEqual([1, 2]); // the third minute asks for nothing new
    expect(await operations.rollback('test')).toBe('abc');
    expect(told()).toEqual([1, 2, 1, null]);
    nowMs = START + 3 * MINUTE;
    await vi.advanceTimersByTimeAsync(2000);
    await operations.verify();
    expect(told()).toEqual([1, 2, 1, null]);
    expect(operations.state.followingPlanId).toBeNull();
  });

  test('automatic applies by itself; a refusal is remembered and follows nothing', async () => {
    const operations = await start({ mode: 'automatic', actuators: ['exec'] });
    await operations.offer(planNamed('one', [4]));
    expect(told()).toEqual([4]);
    writeFileSync(join(directory, 'refuse'), '');
    await operations.offer(planNamed('two', [5]));
    expect(operations.state).toMatchObject({ followingPlanId: 'one' });
    expect(operations.state.lastProblem).toContain('exec');
    nowMs = START + 11 * MINUTE;
    rmSync(join(directory, 'refuse'));
    await operations.offer(planNamed('late', [6]));
    expect(operations.state.lastProblem).toContain('expired');
  });

  test('observe applies nothing, not even what a person asks for', async () => {
    const operations = await start({ mode: 'observe', actuators: ['exec'] });
    plans = [planNamed('abc', [1])];
    await operations.offer(plans[0]!);
    await expect(operations.apply('abc')).rejects.toMatchObject({ code: 'TG_ACTUATE_REFUSED' });
    expect(told()).toEqual([]);
  });

  test('dry-run journals each plan by itself, and the store gets every line once though it was away', async () => {
    const operations = await start({});
    storeAway = true;
    await operations.offer(planNamed('one', [4]));
    await expect(operations.keep()).rejects.toThrow('away');
    storeAway = false;
    await operations.offer(planNamed('two', [5]));
    await operations.keep();
    await operations.keep();
    const lines = readFileSync(join(directory, 'journal.jsonl'), 'utf8').trim().split('\n').length;
    expect(rows).toHaveLength(lines);
    expect(rows.filter((row) => row.event === 'applied').map((row) => row.planId)).toEqual(['one', 'two']);
  });

  test('endpoint keys become steerable endpoints where they have a port', () => {
    expect(endpointOf('6/443/2001:db8::1')).toEqual({ address: '2001:db8::1', protocol: 'tcp', port: 443 });
    expect(endpointOf('17/53/192.0.2.1')).toEqual({ address: '192.0.2.1', protocol: 'udp', port: 53 });
    for (const key of [
      'icmp/192.0.2.1',
      'ethernet/35020',
      'unparsed/short',
      'unanswered/tcp',
      '47/0/192.0.2.1',
    ])
      expect(endpointOf(key)).toBeUndefined();
  });
});
