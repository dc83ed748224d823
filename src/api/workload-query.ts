import type { Evidence } from './evidence.js';

/** How a workload behaved in a range, from its flow records. */
export interface WorkloadBehaviour {
  readonly workloadId: number;
  readonly flows: number;
  readonly octetsOut: number;
  readonly octetsIn: number;
  readonly confidence: number;
  readonly packetSizes: readonly number[];
  readonly gaps: readonly number[];
}

/** Behaviour of every workload with flows in the range. */
export async function readBehaviour(
  evidence: Evidence,
  gateway: string,
  range: { readonly from: number; readonly until: number },
): Promise<WorkloadBehaviour[]> {
  return evidence.query<WorkloadBehaviour>(
    `SELECT workloadId, toFloat64(count()) AS flows, toFloat64(sum(f.octetsOut)) AS octetsOut, toFloat64(sum(f.octetsIn)) AS octetsIn,
       avg(workloadScore) AS confidence,
       arrayMap((a, b) -> toFloat64(a + b), sumForEach(packetSizeBins), sumForEach(reversePacketSizeBins)) AS packetSizes,
       arrayMap((a, b) -> toFloat64(a + b), sumForEach(interArrivalBins), sumForEach(reverseInterArrivalBins)) AS gaps
     FROM flows AS f WHERE gateway = {gateway:String} AND flowEndNanoseconds >= toDateTime({from:UInt32}) AND flowEndNanoseconds < toDateTime({until:UInt32})
     GROUP BY workloadId ORDER BY workloadId`,
    {
      gateway,
      from: Math.floor(Math.min(range.from, range.until) / 1000),
      until: Math.ceil(Math.max(range.from, range.until) / 1000),
    },
  );
}

/** What happened to a workload, newest first. */
export async function readEvents(
  evidence: Evidence,
  gateway: string,
  workloadId: number,
): Promise<{ timeMs: number; kind: string; words: string }[]> {
  return evidence.query(
    `SELECT toFloat64(toUnixTimestamp64Milli(time)) AS timeMs, kind, words FROM events
     WHERE gateway = {gateway:String} AND workloadId = {workload:UInt32} ORDER BY time DESC LIMIT 50`,
    { gateway, workload: workloadId },
  );
}

/** Two behaviours of one workload, as of two numbers that were merged. */
export function joined(parts: readonly WorkloadBehaviour[]): WorkloadBehaviour | undefined {
  const [first, ...rest] = parts;
  if (first === undefined) return undefined;
  return rest.reduce((a, b): WorkloadBehaviour => {
    const add = (x: readonly number[], y: readonly number[]): number[] =>
      x.map((value, i) => value + (y[i] ?? 0));
    const flows = a.flows + b.flows;
    return {
      workloadId: a.workloadId,
      flows,
      octetsOut: a.octetsOut + b.octetsOut,
      octetsIn: a.octetsIn + b.octetsIn,
      confidence: (a.confidence * a.flows + b.confidence * b.flows) / flows,
      packetSizes: add(a.packetSizes, b.packetSizes),
      gaps: add(a.gaps, b.gaps),
    };
  }, first);
}
