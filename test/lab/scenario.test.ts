import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runScenario, type ScenarioReport, STEERING_NAMES, type SteeringName } from '../../src/lab/index.js';
import { netnsPath } from '../../src/lab/namespaces.js';
import { nftSkipReason, uniqueName } from '../support/netns.js';
import { bpfSkipReason } from '../support/privileges.js';

const skip = nftSkipReason() ?? bpfSkipReason();

test('a scenario that does not exist is refused with the names of those that do', async () => {
  await expect(runScenario('mars')).rejects.toMatchObject({
    code: 'TG_LAB_OPTION',
    message: expect.stringMatching(/"mars" is none of .*surge/),
  });
});

describe.skipIf(skip !== undefined)(`scenarios${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tidegate-scenario-'));
  const name = uniqueName('tgt');
  const play = async (scenario: string, actuator?: SteeringName): Promise<ScenarioReport> => {
    const report = await runScenario(scenario, {
      name,
      stateDirectory,
      brief: true,
      ...(actuator === undefined ? {} : { actuator }),
    });
    expect(existsSync(netnsPath(`${name}-gateway`))).toBe(false);
    return report;
  };
  afterAll(() => rmSync(stateDirectory, { recursive: true, force: true }));

  test.each(STEERING_NAMES)(
    'steer by %s: changes under conversations move, lose and reorder nothing',
    async (actuator) => {
      const report = await play('steer', actuator);
      expect(report.movedFlows).toBe(0);
      // What a starved machine's interfaces throw away is not steering's doing.
      expect(report.lostPackets).toBeLessThanOrEqual(report.interfaceDrops!);
      if (report.interfaceDrops === 0) expect(report.reorderedPackets).toBe(0);
      expect(report.steering?.changes).toBe(15);
      expect(report.steering?.maxMs).toBeLessThan(Number.POSITIVE_INFINITY); // every change was followed by new flows
    },
  );

  test('frames: changes under many flows that come and go move, lose and reorder none', async () => {
    const report = await play('frames');
    expect(report.movedFlows).toBe(0);
    expect(report.reorderedPackets).toBe(0);
    expect(report.lostPackets).toBeLessThanOrEqual(report.interfaceDrops!);
    expect(report.flows).toBeGreaterThan(2000);
  });

  test('link-down: new flows go the other way; the state is as journalled', async () => {
    const report = await play('link-down');
    expect(report.lossWindowMs).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(report.consistent).toBe(true);
  });

  test('ceilings: a greedy flow keeps to ceilings that change, and loses nothing by it', async () => {
    const report = await play('ceilings');
    expect(report.droppedPackets).toBe(0);
    expect(report.ceilings?.changes).toBe(4);
    // What HTB may let pass beyond the ceiling is its burst: 20 ms of it.
    expect(report.ceilings?.worstRatio).toBeLessThan(1.1);
  });

  test('surge: the reactive rule moves new flows to the public side', async () => {
    const report = await play('surge');
    expect(report.reactionMs).toBeGreaterThanOrEqual(0);
    // By the applier, as every plan is.
    const applied = report.journal.filter((e) => e.actuator === 'plan' && e.event === 'committed');
    expect(applied.map((entry) => entry.planId)).toEqual([expect.stringMatching(/^surge-/)]);
  });

  test('day: what was seen twice is moved before it comes a third time', async () => {
    const report = await play('day');
    expect(report.movedBeforePeakMs).toBeGreaterThan(0);
    expect(report.costUsd).toBeGreaterThan(0);
  });

  test('guard-breach: the plan that loses packets is undone and the next one held off, longer each time', async () => {
    const report = await play('guard-breach');
    expect(report).toMatchObject({ consistent: true, heldOff: true });
    expect(report.breach).toMatch(/(lossRatio|queueDrops) of public-a/);
    expect(report.holdOffsMs).toEqual([1500, 3000]);
    expect(report.lossWindowMs).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test('kill-9-mid-apply: after recovery the kernel is as before or as after the plan', async () => {
    const report = await play('kill-9-mid-apply');
    expect(report.consistent).toBe(true);
    expect(report.interrupted).toBeGreaterThan(0);
  });
});
