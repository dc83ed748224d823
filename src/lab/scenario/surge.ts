import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { actuateConfig, FileLease, LinkRates, PlanApplier, SurgeWatch } from '../../actuate/index.js';
import { linkPlan } from '../plan.js';
import type { ScenarioReport } from './report.js';
import { monotonicMs, type Stage } from './stage.js';
import { SAMPLE_MS, WebLoad } from './web-load.js';

export interface SurgeOptions {
  /** What the private link can carry. Default 4 Mbit/s. */
  readonly capacityBps?: number;
  /** Request latency that p99 should stay under. Default 100 ms. */
  readonly goalMs?: number;
  /** How much the crowd multiplies the load. */
  readonly factor?: number;
}

const LEARN_MS = 3_000;
const LIMIT_MS = 15_000;

/** How far above what was seen the forecast's band ends. */
const BAND = 1.5;

/**
 * A flash crowd comes to a service whose private link is small. The watch of a running gateway sees the live rates,
 * by the kernel's counters, leave the band of the plan in force, and lets new flows be served from the public side: by
 * the applier, under its policy, in its journal.
 */
export function surgeScenario(stage: Stage, options: SurgeOptions = {}): Promise<ScenarioReport> {
  const { capacityBps = 4e6, goalMs = 100, factor = 14 } = options;
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-surge-'));
  const links = (['private', 'public-a'] as const).map((linkId) => ({
    linkId,
    interfaceName: linkPlan(linkId).interfaceName,
    capacityBps: linkId === 'private' ? capacityBps : 1e9,
  }));
  const rates = new LinkRates(links, stage.topology.gatewayNetns);
  const applier = new PlanApplier({
    actuators: [stage.steering],
    journal: stage.journal,
    lease: new FileLease(join(directory, 'lease.json')),
    policy: { mode: 'automatic', maxChangesPerHour: 100, maxShareMoved: 1, blackout: [], pinned: [] },
  });
  const quiet = stage.plan({ private: 1 });
  // As a gateway has it whose operator changed nothing.
  const { fullAt, consecutive, every } = actuateConfig.parse({}).surge;
  return WebLoad.run(stage, capacityBps, async (load) => {
    let [before, bandBps] = [0, 0];
    for (const began = monotonicMs(); monotonicMs() - began < LEARN_MS; ) {
      const { privateBps, p99Ms } = await load.sample();
      bandBps = Math.max(bandBps, BAND * privateBps);
      before = Math.max(before, p99Ms || 0);
    }
    const watch = new SurgeWatch({
      links,
      rates: () => rates.read(),
      plan: () => ({ ...quiet, allocations: quiet.allocations.map((a) => ({ ...a, rateBps: bandBps })) }),
      following: () => undefined,
      apply: (plan) => applier.apply(plan),
      maxShareMoved: 1,
      rule: { fullAt, consecutive },
      everyMs: every,
    });
    await watch.start();
    try {
      load.set(factor);
      let leftMs = Number.NaN;
      let firstPublicMs = Number.NaN;
      let recoveredMs = Number.NaN;
      let worst = 0;
      let after = Number.NaN;
      for (const began = monotonicMs(); monotonicMs() - began < LIMIT_MS && Number.isNaN(recoveredMs); ) {
        const { privateBps, p99Ms, publicFlows, atMs } = await load.sample();
        worst = Math.max(worst, p99Ms || 0);
        // It left some time in the sample.
        if (Number.isNaN(leftMs) && privateBps > bandBps) leftMs = atMs - SAMPLE_MS;
        if (Number.isNaN(firstPublicMs) && publicFlows > 0) firstPublicMs = atMs;
        if (!Number.isNaN(firstPublicMs) && p99Ms < goalMs) [recoveredMs, after] = [atMs, p99Ms];
      }
      return {
        scenario: 'surge',
        reactionMs: firstPublicMs - leftMs,
        recoveryMs: recoveredMs - firstPublicMs,
        latencyP99Ms: { before, worst, after },
        journal: stage.journal.all,
      };
    } finally {
      await watch.stop();
    }
  }).finally(async () => {
    await rates.close();
    rmSync(directory, { recursive: true, force: true });
  });
}
