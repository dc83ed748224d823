import { SurgeRule } from '../../actuate/index.js';
import { forecastSeries } from '../../forecast/index.js';
import { marginalUsdPerGb, PriceBook } from '../../pricing/index.js';
import type { ScenarioReport } from './report.js';
import type { Stage } from './stage.js';
import { SAMPLE_MS, WebLoad, type WebSample } from './web-load.js';

export interface DayOptions {
  /** What the private link can carry. Default 4 Mbit/s. */
  readonly capacityBps?: number;
  /** Request latency that p99 should stay under. Default 100 ms. */
  readonly goalMs?: number;
  /** Length of a compressed day. Default 16 s. */
  readonly dayMs?: number;
  /** How much the peak multiplies the load. */
  readonly factor?: number;
  readonly tariff?: string;
  readonly instance?: string;
}

/** The peak, as fractions of the day; it does not begin at a sample's edge. */
const PEAK = [0.4, 0.7] as const;
/** What is steered away is steered away so long before it is needed. */
const LEAD_SAMPLES = 3;
/** The private link is filled to this share of its capacity at most. */
const FILL = 0.85;
/** Demand is provided for up to so many times its forecast: two days are too few for bands that mean anything. */
const MARGIN = 1.1;
/** Reactive: back inside after the link was this empty for so long. */
const QUIET_SHARE = 0.5;
const QUIET_SAMPLES = 8;
/** Shares change in steps of a twentieth: a plan is not redone for less. */
const SHARE_STEPS = 20;

/** Decides, sample by sample, what share of the new flows the public side serves. */
type Policy = (sample: WebSample, index: number) => number;

interface DayResult {
  readonly samples: readonly WebSample[];
  readonly violationSeconds: number;
  readonly costUsd: number;
  /** When the first new flows were moved, counted from the beginning of the peak; negative = before it. */
  readonly movedMs: number;
}

/**
 * A compressed day with a peak that recurs. Two days are served by the reactive rule alone; what was seen in them is
 * forecast, and on the third day new flows are moved by the forecast, with the reactive rule behind it. The second
 * reactive day and the forecast day have the same load and are compared.
 */
export function dayScenario(stage: Stage, options: DayOptions = {}): Promise<ScenarioReport> {
  const { capacityBps = 4e6, goalMs = 100, dayMs = 16_000, factor = 10 } = options;
  const perDay = Math.round(dayMs / SAMPLE_MS);
  const prices = PriceBook.load();
  const usdPerGb = marginalUsdPerGb(prices.tariff(options.tariff ?? 'gcp-premium'), 0);
  const usdPerHour = prices.instance(options.instance ?? 'm5.large').usdPerHour;

  return WebLoad.run(stage, capacityBps, async (load) => {
    let share = 0;
    const move = async (wanted: number): Promise<void> => {
      const next = Math.ceil(wanted * SHARE_STEPS) / SHARE_STEPS;
      if (next === share) return;
      share = next;
      await stage.weights(
        next === 0
          ? { private: 1 }
          : next === 1
            ? { 'public-a': 1 }
            : { private: 1 - next, 'public-a': next },
      );
    };
    const playDay = async (policy: Policy): Promise<DayResult> => {
      const samples: WebSample[] = [];
      const peakFrom = Math.round(PEAK[0] * perDay);
      let [violationSeconds, costUsd, movedMs] = [0, 0, Number.NaN];
      for (let i = 0; i < perDay; i += 1) {
        if (i === peakFrom) load.set(factor);
        if (i === Math.round(PEAK[1] * perDay)) load.set(1);
        const sample = await load.sample();
        samples.push(sample);
        const seconds = SAMPLE_MS / 1000;
        if (!(sample.p99Ms <= goalMs)) violationSeconds += seconds;
        costUsd += ((sample.publicBps * seconds) / 8e9) * usdPerGb;
        if (share > 0) costUsd += (seconds / 3600) * usdPerHour;
        await move(policy(sample, i));
        if (Number.isNaN(movedMs) && share > 0) movedMs = (i + 1 - peakFrom) * SAMPLE_MS;
      }
      return { samples, violationSeconds, costUsd, movedMs };
    };

    const first = await playDay(reactive(capacityBps));
    const second = await playDay(reactive(capacityBps));
    const seen = [...first.samples, ...second.samples].map((s) => s.privateBps + s.publicBps);
    const forecast = forecastSeries(
      {
        seriesId: 'web',
        signal: 'bandwidthOutBps',
        history: { startMs: 0, stepMs: SAMPLE_MS, values: Float64Array.from(seen) },
        horizonSteps: perDay,
        seasonSteps: [perDay],
        quantiles: [],
      },
      seen.length * SAMPLE_MS,
    );
    const expected = forecast.median.map((bps) => bps * MARGIN);
    const behind = reactive(capacityBps, Math.max(...expected));
    const third = await playDay((sample, i) => {
      const ahead = Math.max(...expected.subarray(i, Math.min(perDay, i + 1 + LEAD_SAMPLES)));
      const planned = Math.max(0, 1 - (FILL * capacityBps) / ahead);
      return Math.max(planned, behind(sample, i));
    });
    return {
      scenario: 'day',
      movedBeforePeakMs: -third.movedMs,
      violationSeconds: third.violationSeconds,
      reactiveViolationSeconds: second.violationSeconds,
      costUsd: third.costUsd,
      reactiveCostUsd: second.costUsd,
      journal: stage.journal.all,
    };
  });
}

/** The reactive rule: everything new goes outside once the link is full, and back once it has been quiet for a while. */
function reactive(capacityBps: number, expectedBps?: number): Policy {
  const rule = new SurgeRule({ capacityBps });
  if (expectedBps !== undefined) rule.expect(expectedBps);
  let outside = false;
  let quiet = 0;
  return ({ privateBps, publicBps }) => {
    const rateBps = privateBps + publicBps;
    if (rule.observe(rateBps)) outside = true;
    quiet = rateBps < QUIET_SHARE * capacityBps ? quiet + 1 : 0;
    if (quiet >= QUIET_SAMPLES) outside = false;
    return outside ? 1 : 0;
  };
}
