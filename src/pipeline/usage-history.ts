import type { SeriesHistory } from '../forecast/index.js';
import type { StoreClient } from '../store/index.js';

/** What a workload used of one link over a window, at regular steps; a step without traffic is 0. */
export interface LinkUsage {
  readonly workloadId: number;
  readonly linkId: string;
  /** Private towards public, bit/s. */
  readonly outBps: SeriesHistory;
  readonly inBps: SeriesHistory;
  readonly packetsPerSecond: SeriesHistory;
  readonly flowsPerSecond: SeriesHistory;
}

export interface UsageWindow {
  readonly gateway: string;
  /** A rollup table whose own step divides `stepMs`. */
  readonly table: 'usage_1s' | 'usage_1m' | 'usage_5m' | 'usage_1h';
  /** Inclusive, aligned to `stepMs`. */
  readonly fromMs: number;
  /** Exclusive, aligned to `stepMs`. */
  readonly toMs: number;
  readonly stepMs: number;
  /** Only these; absent = all. */
  readonly workloadIds?: readonly number[];
}

interface UsageRow {
  readonly workloadId: number;
  readonly linkId: string;
  readonly step: number;
  readonly octetsOut: number;
  readonly octetsIn: number;
  readonly packets: number;
  readonly flows: number;
}

const SECOND = 1000;

/**
 * Reads usage by workload and link from a rollup. A series begins with the workload's first step in the window:
 * before it there was nothing to know, after it silence is a fact.
 */
export async function readUsage(
  client: Pick<StoreClient, 'query'>,
  window: UsageWindow,
): Promise<LinkUsage[]> {
  const { fromMs, toMs, stepMs } = window;
  const rows = await client.query<UsageRow>(
    `SELECT workloadId, linkId, intDiv(toUnixTimestamp(time) - {from:UInt32}, {step:UInt32}) AS step,
       toFloat64(sum(octetsOut)) AS octetsOut, toFloat64(sum(octetsIn)) AS octetsIn,
       toFloat64(sum(packetsOut + packetsIn)) AS packets, toFloat64(sum(flows)) AS flows
     FROM ${window.table}
     WHERE gateway = {gateway:String} AND time >= toDateTime({from:UInt32}) AND time < toDateTime({to:UInt32})
       ${window.workloadIds === undefined ? '' : 'AND workloadId IN {workloadIds:Array(UInt32)}'}
     GROUP BY workloadId, linkId, step ORDER BY workloadId, linkId, step`,
    {
      params: {
        gateway: window.gateway,
        from: fromMs / SECOND,
        to: toMs / SECOND,
        step: stepMs / SECOND,
        ...(window.workloadIds === undefined ? {} : { workloadIds: window.workloadIds }),
      },
    },
  );
  const steps = Math.round((toMs - fromMs) / stepMs);
  const stepSeconds = stepMs / SECOND;
  const usage: LinkUsage[] = [];
  let first = 0;
  while (first < rows.length) {
    const { workloadId, linkId } = rows[first]!;
    let end = first;
    while (end < rows.length && rows[end]!.workloadId === workloadId && rows[end]!.linkId === linkId)
      end += 1;
    const begin = Number(rows[first]!.step);
    const series = (pick: (row: UsageRow) => number, scale: number): SeriesHistory => {
      const values = new Float64Array(steps - begin);
      for (let i = first; i < end; i += 1)
        values[Number(rows[i]!.step) - begin] = (Number(pick(rows[i]!)) * scale) / stepSeconds;
      return { startMs: fromMs + begin * stepMs, stepMs, values };
    };
    usage.push({
      workloadId: Number(workloadId),
      linkId,
      outBps: series((row) => row.octetsOut, 8),
      inBps: series((row) => row.octetsIn, 8),
      packetsPerSecond: series((row) => row.packets, 1),
      flowsPerSecond: series((row) => row.flows, 1),
    });
    first = end;
  }
  return usage;
}

/** Adds series of equal step on their common time axis; a step that one does not cover counts as 0. */
export function sumSeries(all: readonly SeriesHistory[]): SeriesHistory {
  const stepMs = all[0]!.stepMs;
  const startMs = Math.min(...all.map((s) => s.startMs));
  const endMs = Math.max(...all.map((s) => s.startMs + s.values.length * stepMs));
  const values = new Float64Array(Math.round((endMs - startMs) / stepMs));
  for (const series of all) {
    const offset = Math.round((series.startMs - startMs) / stepMs);
    for (let i = 0; i < series.values.length; i += 1) values[offset + i]! += series.values[i]!;
  }
  return { startMs, stepMs, values };
}
