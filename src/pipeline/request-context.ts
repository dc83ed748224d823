import {
  BORROWING_SEASONS,
  type CalendarRule,
  type ForecastRequest,
  occurrences,
  type ProphetSettings,
  type RegressorRule,
  regressorValues,
} from '../forecast/index.js';
import type { StoreClient } from '../store/index.js';
import { changesSince, Kindred } from './kindred.js';
import type { UsageWindow } from './usage-history.js';

const DAY_MS = 86_400_000;
/** A change of the fingerprint is news for so many seasons. */
const CHANGE_SEASONS = 3;
/** A workload that lends its history has been known for so many seasons. */
const DONOR_SEASONS = 2;

export interface RequestContext {
  readonly client: Pick<StoreClient, 'query'>;
  readonly window: UsageWindow;
  readonly nameOf: (workloadId: number) => string;
  readonly settings: {
    readonly seasonsMs: readonly number[];
    readonly horizonMs: number;
    readonly calendar: readonly CalendarRule[];
    readonly regressors: readonly RegressorRule[];
    readonly prophet?: ProphetSettings;
  };
}

/** 0 for the series of a whole link. */
const workloadOf = ({ seriesId }: ForecastRequest): number => Number(seriesId.split('/')[1]) || 0;

/** Requests with what is known besides their history: events, changes of the fingerprint, nearest kin of young ones. */
export async function withContext(
  requests: readonly ForecastRequest[],
  { client, window, nameOf, settings }: RequestContext,
): Promise<ForecastRequest[]> {
  const { calendar, regressors, prophet, horizonMs, seasonsMs } = settings;
  const { gateway, fromMs, toMs, stepMs } = window;
  const seasonMs = Math.min(...seasonsMs, DAY_MS);
  const changes = await changesSince(client, gateway, toMs - CHANGE_SEASONS * seasonMs);
  const young = new Set(
    requests.filter(({ history }) => history.values.length * stepMs < BORROWING_SEASONS * seasonMs),
  );
  const kin = await Kindred.find(
    client,
    window,
    [...new Set([...young].map(workloadOf))].filter((workloadId) => workloadId > 0),
    toMs - DONOR_SEASONS * seasonMs,
  );
  return requests.map((request) => {
    const workloadId = workloadOf(request);
    const applies = ({ workload }: { readonly workload?: string | undefined }): boolean =>
      workload === undefined || (workloadId > 0 && nameOf(workloadId).includes(workload));
    const rules = calendar.filter(applies);
    const { startMs, values } = request.history;
    const known = regressorValues(
      regressors.filter(applies),
      startMs,
      request.history.stepMs,
      values.length + request.horizonSteps,
    );
    const changedMs = changes.get(workloadId);
    return {
      ...request,
      events: occurrences(rules, fromMs, toMs + 2 * horizonMs),
      donors: young.has(request) ? kin.donorsOf(workloadId, request.signal) : [],
      ...(changedMs === undefined ? {} : { changedMs }),
      ...(prophet === undefined ? {} : { prophet }),
      ...(known === undefined ? {} : { regressors: known }),
    };
  });
}
