import { SurgeRule } from '../../actuate/index.js';
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

/**
 * A flash crowd comes to a service whose private link is small. The reactive rule sees the live rate leave the band
 * of the quiet time before, and lets new flows be served from the public side.
 */
export function surgeScenario(stage: Stage, options: SurgeOptions = {}): Promise<ScenarioReport> {
  const { capacityBps = 4e6, goalMs = 100, factor = 14 } = options;
  return WebLoad.run(stage, capacityBps, async (load) => {
    const rule = new SurgeRule({ capacityBps });
    let before = 0;
    for (const began = monotonicMs(); monotonicMs() - began < LEARN_MS; ) {
      const { privateBps, p99Ms } = await load.sample();
      rule.learn(privateBps);
      before = Math.max(before, p99Ms || 0);
    }
    load.set(factor);
    let leftMs = Number.NaN;
    let movedMs = Number.NaN;
    let firstPublicMs = Number.NaN;
    let recoveredMs = Number.NaN;
    let worst = 0;
    let after = Number.NaN;
    for (const began = monotonicMs(); monotonicMs() - began < LIMIT_MS && Number.isNaN(recoveredMs); ) {
      const { privateBps, p99Ms, publicFlows, atMs } = await load.sample();
      worst = Math.max(worst, p99Ms || 0);
      // It left some time in the sample.
      if (Number.isNaN(leftMs) && privateBps > rule.upperBps) leftMs = atMs - SAMPLE_MS;
      if (rule.observe(privateBps) && Number.isNaN(movedMs)) {
        await stage.weights({ 'public-a': 1 });
        movedMs = monotonicMs();
      }
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
  });
}
