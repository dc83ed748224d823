import { defineErrors } from '../base/errors.js';
import { isAllowed } from './classes.js';
import type { PlanInput, WorkloadDemand } from './types.js';

const fail = defineErrors({
  TG_PLAN_NO_LINK: { message: 'there is no link to plan over', hint: 'configure links', exitCode: 2 },
  TG_PLAN_NO_DEMAND: { message: 'there is no demand to plan for', hint: 'wait for the first forecasts' },
  TG_PLAN_INPUT: { message: 'the plan input is wrong: {reason}', hint: 'correct it', exitCode: 2 },
  TG_PLAN_STALE: {
    message: 'the forecasts are {minutes} minutes old, older than their horizon of {horizonMinutes} minutes',
    hint: 'make new forecasts; the last plan and the reactive rule stand',
  },
  TG_PLAN_GOALS: {
    message: 'goals conflict: {conflict}',
    hint: 'the smallest relaxation that works: {relaxation}',
    exitCode: 4,
  },
});

/** @throws TG_PLAN_NO_LINK, TG_PLAN_NO_DEMAND, TG_PLAN_INPUT, TG_PLAN_STALE, TG_PLAN_GOALS */
export function checkInput(input: PlanInput): void {
  const { links, periods, workloads, nowMs, forecastMs } = input;
  if (links.length === 0) throw fail('TG_PLAN_NO_LINK');
  if (workloads.length === 0 || periods.length === 0) throw fail('TG_PLAN_NO_DEMAND');
  for (const link of links) {
    if (!(link.capacityBps >= 0) || !(link.usdPerGb >= 0) || !(link.portHourUsd >= 0)) {
      throw fail('TG_PLAN_INPUT', { reason: `link ${link.linkId} has a negative capacity or price` });
    }
  }
  for (const { linkId, burst } of links) {
    if (burst === undefined) continue;
    const { levelBps, freeSamples, sampleMs, usdPerMbps } = burst;
    if (!(levelBps >= 0) || !(freeSamples >= 0) || !(sampleMs > 0) || !(usdPerMbps >= 0)) {
      throw fail('TG_PLAN_INPUT', {
        reason: `link ${linkId} has a negative level, price or number of free samples`,
      });
    }
  }
  for (const period of periods) {
    if (!(period.durationMs > 0)) throw fail('TG_PLAN_INPUT', { reason: 'a period has no duration' });
  }
  for (const workload of workloads) checkWorkload(input, workload);
  if (forecastMs === undefined) return;
  const last = periods.at(-1)!;
  const horizonMs = last.startMs + last.durationMs - periods[0]!.startMs;
  if (nowMs - forecastMs > horizonMs) {
    throw fail('TG_PLAN_STALE', {
      minutes: Math.round((nowMs - forecastMs) / 60_000),
      horizonMinutes: Math.round(horizonMs / 60_000),
    });
  }
}

function checkWorkload(input: PlanInput, workload: WorkloadDemand): void {
  const { links, periods } = input;
  for (const row of [workload.medianBps, workload.peakBps, workload.cpuCores, workload.memoryBytes]) {
    if (row.length !== periods.length || !row.every((value) => Number.isFinite(value) && value >= 0)) {
      const reason = `demand of ${workload.name} must be ${periods.length} finite values of at least 0`;
      throw fail('TG_PLAN_INPUT', { reason });
    }
  }
  const { name, pinnedTo, latencyBoundMs } = workload;
  if (pinnedTo !== undefined && !links.some((link) => link.linkId === pinnedTo)) {
    throw fail('TG_PLAN_INPUT', { reason: `${name} is pinned to the unknown link ${pinnedTo}` });
  }
  const constraints = { pinnedTo, latencyBoundMs };
  if (latencyBoundMs === undefined || links.some((link) => isAllowed(constraints, link))) return;
  const within = links
    .filter((link) => pinnedTo === undefined || link.linkId === pinnedTo)
    .sort((a, b) => (a.latencyMs ?? 0) - (b.latencyMs ?? 0));
  throw fail('TG_PLAN_GOALS', {
    conflict: `no link${pinnedTo === undefined ? '' : ` that ${name} is pinned to`} answers ${name} within ${latencyBoundMs} ms`,
    relaxation: `a bound of ${within[0]!.latencyMs} ms, kept by ${within[0]!.linkId}`,
  });
}
