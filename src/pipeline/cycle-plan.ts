import type { Forecast, SeriesHistory, Signal } from '../forecast/index.js';
import { type Plan, type PlanHosts, type PlanInput, runningSince } from '../plan/index.js';
import type { StoreClient } from '../store/index.js';
import { type CycleHistory, seriesIdOf } from './cycle-history.js';
import type { CycleSettings } from './cycle-settings.js';
import { demandOf, factsOf, periodsOf } from './demand.js';
import type { InstanceRule } from './instance-rule.js';
import type { PricedLink } from './link-prices.js';
import { newestPlan } from './stored-plans.js';

const WORDS = {
  'not-running': 'the gateway is not up yet',
  'no-traffic': 'no workload has been seen in the history that is looked at',
  'no-forecast': 'every forecast of a workload was refused',
  'no-link': 'no link is configured as a way out',
  failed: 'the cycle failed',
} as const;

/** A run that made no plan, and why. */
export interface Unplanned {
  readonly plan?: undefined;
  readonly reason: keyof typeof WORDS;
  readonly words: string;
}

export type CycleOutcome = { readonly plan: Plan } | Unplanned;

export const unplanned = (reason: Unplanned['reason'], detail?: string): Unplanned => ({
  reason,
  words: detail === undefined ? WORDS[reason] : `${WORDS[reason]}: ${detail}`,
});

export interface PlanDependencies {
  readonly client: StoreClient;
  readonly planner: { plan(input: PlanInput): Promise<Plan> };
  /** Links with their prices now; asked each cycle because tiers move with the month's volume. */
  readonly links: () => Promise<PricedLink[]>;
  /** Ids of the links that can carry nothing now; they are planned without. */
  readonly linksDown: () => Promise<ReadonlySet<string>>;
  /** Workload names as of now. */
  readonly names: () => (workloadId: number) => string;
  readonly gateway: string;
  readonly settings: Pick<
    CycleSettings,
    'sizingQuantile' | 'goals' | 'hosts' | 'validForMs' | 'stepMs' | 'seasonsMs' | 'coefficients'
  >;
}

/** What a plan is made from: what was, over which steps, what was told ahead, and the plan in force; absent = ask the store. */
export interface PlanGrounds {
  readonly history: CycleHistory;
  readonly axis: SeriesHistory;
  readonly instances: InstanceRule;
  readonly made: readonly Forecast[];
  readonly last: Plan | undefined;
}

/** The plan that forecasts, links and hosts call for at `nowMs` (Unix time). @throws what the planner and the store say */
export async function planFrom(
  dependencies: PlanDependencies,
  { history, axis, instances, made, last }: PlanGrounds,
  nowMs: number,
): Promise<CycleOutcome> {
  const { settings, gateway, names, planner } = dependencies;
  const nameOf = names();
  const find = finder(gateway, made);
  const first = made.find((forecast) => forecast.status !== 'refused');
  if (first === undefined) return unplanned('no-forecast');
  const leadSteps = Math.ceil((settings.hosts.instance.leadMs ?? first.stepMs) / first.stepMs);
  const periods = periodsOf(first.startMs, first.stepMs, first.median.length, leadSteps);
  const workloads = history.workloads.flatMap(({ workloadId, links }) => {
    const out = find(workloadId, 'bandwidthOutBps');
    const cpu = find(workloadId, 'cpuCores');
    const memory = find(workloadId, 'memoryBytes');
    if (out === undefined || cpu === undefined || memory === undefined) return [];
    return [
      demandOf(
        factsOf(workloadId, nameOf(workloadId), links),
        out,
        find(workloadId, 'bandwidthInBps'),
        { cpu, memory },
        periods,
        settings.sizingQuantile,
      ),
    ];
  });
  if (workloads.length === 0) return unplanned('no-forecast');
  const [priced, down] = await Promise.all([dependencies.links(), dependencies.linksDown()]);
  if (priced.length === 0) return unplanned('no-link');
  const hosts = await hostsNow(dependencies, last, nowMs);
  const ruled = await instances.decide(history.workloads, axis, { ...settings, hosts });
  const plan = await planner.plan({
    gateway,
    nowMs,
    periods,
    workloads,
    links: priced.map((link) => ({ ...link, healthy: !down.has(link.linkId) })),
    hosts: ruled === undefined ? hosts : { ...hosts, instance: { ...hosts.instance, ruled } },
    goals: settings.goals,
    expiresMs: Math.min(nowMs + settings.validForMs, first.startMs + first.median.length * first.stepMs),
    forecastMs: first.createdMs,
  });
  return { plan };
}

/** The hosts, with the instances that run now, as the last plan had them: after a restart the stored one. */
async function hostsNow(
  { settings, client, gateway }: PlanDependencies,
  remembered: Plan | undefined,
  nowMs: number,
): Promise<PlanHosts> {
  const { instance } = settings.hosts;
  const last = remembered ?? (await newestPlan(client, gateway));
  if (last === undefined) return settings.hosts;
  const runningSinceMs = runningSince(last, instance.holdMs ?? 0, nowMs);
  return { ...settings.hosts, instance: { ...instance, runningSinceMs } };
}

/** Looks up usable forecasts by workload and signal. */
export function finder(gateway: string, forecasts: readonly Forecast[]) {
  const usable = new Map(forecasts.filter((f) => f.status !== 'refused').map((f) => [f.seriesId, f]));
  return (workloadId: number, signal: Signal): Forecast | undefined =>
    usable.get(seriesIdOf(gateway, workloadId, signal));
}
