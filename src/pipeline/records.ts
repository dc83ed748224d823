import type { JournalEntry } from '../actuate/index.js';
import type { Forecast } from '../forecast/index.js';
import type { Plan } from '../plan/index.js';
import type { StoreClient } from '../store/index.js';

type Inserter = Pick<StoreClient, 'insertRows'>;

const iso = (ms: number): string => new Date(ms).toISOString();
/** 0 for a series of a whole link. */
const workloadOf = (seriesId: string): number => Number(seriesId.split('/')[1]) || 0;

/** Keeps forecasts with the mix that made them. */
export async function insertForecasts(
  client: Inserter,
  gateway: string,
  forecasts: readonly Forecast[],
): Promise<void> {
  await client.insertRows(
    'forecasts',
    forecasts.map((f) => ({
      created: iso(f.createdMs),
      gateway,
      seriesId: f.seriesId,
      workloadId: workloadOf(f.seriesId),
      signal: f.signal,
      start: iso(f.startMs),
      stepMs: f.stepMs,
      median: [...f.median],
      levels: f.quantiles.map((path) => path.q),
      quantiles: f.quantiles.map((path) => [...path.values]),
      mix: JSON.stringify(f.mix),
      members: JSON.stringify(f.failures),
      historySteps: f.historySteps,
      relativeToSeasonalNaive: f.relativeToSeasonalNaive,
      coverageP90: f.coverage.p90,
      coverageP99: f.coverage.p99,
      status: f.status,
      refusal: f.refusal === undefined ? '' : `${f.refusal.code}: ${f.refusal.reason}`,
      notes: f.notes,
    })),
  );
}

/** Keeps a plan, whole, beside the numbers that are asked for most. */
export async function insertPlan(client: Inserter, plan: Plan): Promise<void> {
  await client.insertRows('plans', [
    {
      created: iso(plan.createdMs),
      gateway: plan.gateway,
      planId: plan.id,
      expires: iso(plan.expiresMs),
      costUsd: plan.costUsd,
      doNothingUsd: plan.doNothingUsd,
      expectedViolationMinutes: plan.expectedViolationMinutes,
      instanceId: plan.instances[0]?.instanceId ?? '',
      instances: plan.instances[0]?.count ?? 0,
      purchase: plan.purchase?.kind ?? 'on-demand',
      plan: JSON.stringify(plan),
    },
  ]);
}

/** Keeps lines of the actuators' journal. */
export async function insertActuations(
  client: Inserter,
  gateway: string,
  entries: readonly JournalEntry[],
): Promise<void> {
  await client.insertRows(
    'actuations',
    entries.map((entry) => ({
      time: iso(entry.atMs),
      gateway,
      planId: entry.planId,
      actuator: entry.actuator,
      stepId: entry.stepId,
      event: entry.event,
      before: JSON.stringify(entry.before),
      after: JSON.stringify(entry.after),
      words: entry.words,
    })),
  );
}
