import { type BucketRecord, forecastSeries } from '../../forecast/index.js';

export interface RefreshTime {
  readonly series: number;
  readonly pointsEach: number;
  readonly cpuSeconds: number;
  readonly cpuMsEach: number;
  /** Once for each series that has no record yet: all past origins made up for. */
  readonly firstCpuMsEach: number;
}

const DAY = 288;
const STEP_MS = 300_000;
const POINTS = 4032;
const QUANTILES = [0.5, 0.9, 0.95, 0.99, 0.995];
/** Different series whose records are made; the others share them. */
const DISTINCT = 6;

/** A load with a day, a week, noise and bursts; another one for every seed, the same each time. */
function load(seed: number): Float64Array {
  let state = seed * 7919 + 1;
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  return Float64Array.from({ length: POINTS }, (_, i) => {
    const weekend = i % (7 * DAY) >= 5 * DAY ? 0.6 : 1;
    const burst = random() > 0.995 ? 3 : 1;
    return burst * weekend * (100 + 40 * Math.sin((2 * Math.PI * i) / DAY + seed)) * (0.9 + 0.2 * random());
  });
}

/** CPU time of one refresh of so many series of 4,032 five-minute points: members, choice, bands, one day ahead. */
export function refreshTime(series: number): RefreshTime {
  const requestOf = (seed: number) => ({
    seriesId: `bench/${seed}/bandwidthOutBps`,
    signal: 'bandwidthOutBps' as const,
    history: { startMs: 0, stepMs: STEP_MS, values: load(seed) },
    horizonSteps: DAY,
    seasonSteps: [DAY, 7 * DAY],
    quantiles: QUANTILES,
  });
  const now = POINTS * STEP_MS;
  const cpuMs = (work: () => void): number => {
    const started = process.cpuUsage();
    work();
    const used = process.cpuUsage(started);
    return (used.user + used.system) / 1000;
  };
  const records: Map<string, BucketRecord[]>[] = [];
  const first = cpuMs(() => {
    for (let seed = 0; seed < DISTINCT; seed += 1) {
      const record = new Map<string, BucketRecord[]>();
      for (const { bucket, record: entry } of forecastSeries(requestOf(seed), now).realised)
        record.set(bucket, [entry, ...(record.get(bucket) ?? [])]);
      records.push(record);
    }
  });
  const requests = Array.from({ length: series }, (_, seed) => ({
    ...requestOf(seed),
    record: records[seed % DISTINCT]!,
  }));
  const all = cpuMs(() => {
    for (const request of requests) forecastSeries(request, now);
  });
  return {
    series,
    pointsEach: POINTS,
    cpuSeconds: all / 1000,
    cpuMsEach: all / series,
    firstCpuMsEach: first / DISTINCT,
  };
}
