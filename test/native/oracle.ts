/**
 * The whole user-space meter once more, slow and plain: packets as facts in, flows out. It shares no line with the C++:
 * one object a flow, no cache, no residencies, no timers; a flow is what an idle timeout leaves of a 5-tuple.
 */
import { DEFAULT_SIZE_EDGES } from '../../src/capture/meter-options.js';
import type { FlowRecord } from '../../src/flow/record.js';

export interface Fact {
  /** Which pair of ports; the two ends are 10.0.0.1 and 10.0.0.2. */
  readonly flow: number;
  /** From 10.0.0.1 (false) or from 10.0.0.2. */
  readonly back: boolean;
  readonly timeNs: bigint;
  readonly octets: number;
  readonly payload: number;
  readonly flags: number;
  readonly ttl: number;
  readonly window: number;
}

interface Side {
  packets: number;
  octets: number;
  sizes: number[];
  gaps: number[];
  flags: number[];
  ttl: [number, number];
  window: [number, number];
  lastTick: bigint | undefined;
}

export interface OracleFlow {
  flow: number;
  sides: [Side, Side];
  payloads: number[];
  startTick: bigint;
  endTick: bigint;
}

const TICK_SHIFT = 10n;
const side = (): Side => ({
  packets: 0,
  octets: 0,
  sizes: Array(16).fill(0),
  gaps: Array(16).fill(0),
  flags: Array(8).fill(0),
  ttl: [255, 0],
  window: [65_535, 0],
  lastTick: undefined,
});
const gapBin = (ticks: bigint): number => (ticks < 2n ? 0 : Math.min(15, ticks.toString(2).length - 1));
const sizeBin = (octets: number): number => {
  const bin = DEFAULT_SIZE_EDGES.findIndex((edge) => Math.floor(octets / 16) * 16 < edge);
  return bin === -1 ? DEFAULT_SIZE_EDGES.length : bin;
};

/** Flows of a sequence of packets. Time never runs backwards: a late packet counts as now. */
export function oracleFlows(facts: readonly Fact[], idleNs: bigint): OracleFlow[] {
  const open = new Map<number, OracleFlow>();
  const all: OracleFlow[] = [];
  let now = 0n;
  for (const fact of facts) {
    if (fact.timeNs > now) now = fact.timeNs;
    const tick = now >> TICK_SHIFT;
    let flow = open.get(fact.flow);
    if (flow === undefined || (tick - flow.endTick) << TICK_SHIFT > idleNs) {
      flow = { flow: fact.flow, sides: [side(), side()], payloads: [], startTick: tick, endTick: tick };
      open.set(fact.flow, flow);
      all.push(flow);
    }
    const s = flow.sides[fact.back ? 1 : 0];
    flow.endTick = tick;
    s.packets += 1;
    s.octets += fact.octets;
    s.sizes[sizeBin(fact.octets)]! += 1;
    if (s.lastTick !== undefined) s.gaps[gapBin(tick - s.lastTick)]! += 1;
    s.lastTick = tick;
    for (let bit = 0; bit < 8; bit += 1) s.flags[bit]! += (fact.flags >> bit) & 1;
    s.ttl = [Math.min(s.ttl[0], fact.ttl), Math.max(s.ttl[1], fact.ttl)];
    s.window = [Math.min(s.window[0], fact.window), Math.max(s.window[1], fact.window)];
    if (fact.payload > 0 && flow.payloads.length < 8)
      flow.payloads.push(fact.back ? -fact.payload : fact.payload);
  }
  return all;
}

const sum = (a: readonly number[], b: readonly number[]): number[] => a.map((n, i) => n + b[i]!);
const list = (record: FlowRecord, name: string): number[] => [...(record[name] as readonly number[])];

/** Adds the records of each flow (by flowId) up to what the oracle says of it; the source may be either end. */
export function flowsOf(records: readonly FlowRecord[]): OracleFlow[] {
  const flows = new Map<string, OracleFlow>();
  for (const r of records) {
    const swapped = r.sourceIPv4Address === '10.0.0.2';
    const port = Number(swapped ? r.destinationTransportPort : r.sourceTransportPort);
    const start = BigInt(r.flowStartNanoseconds as string) >> TICK_SHIFT;
    const end = BigInt(r.flowEndNanoseconds as string) >> TICK_SHIFT;
    let flow = flows.get(String(r.flowId));
    if (flow === undefined) {
      flow = { flow: port, sides: [side(), side()], payloads: [], startTick: start, endTick: end };
      flows.set(String(r.flowId), flow);
    }
    flow.endTick = end > flow.endTick ? end : flow.endTick;
    flow.startTick = start < flow.startTick ? start : flow.startTick;
    for (const reverse of [false, true]) {
      const s = flow.sides[reverse === swapped ? 0 : 1];
      const of = (name: string): string =>
        reverse ? `reverse${name[0]!.toUpperCase()}${name.slice(1)}` : name;
      const packets = Number(r[of('packetDeltaCount')]);
      s.packets += packets;
      s.octets += Number(r[of('octetDeltaCount')]);
      s.sizes = sum(s.sizes, list(r, of('packetSizeBins')));
      s.gaps = sum(s.gaps, list(r, of('interArrivalBins')));
      s.flags = sum(s.flags, list(r, of('tcpFlagCounts')));
      if (packets === 0) continue;
      s.ttl = [
        Math.min(s.ttl[0], Number(r[of('minimumTTL')])),
        Math.max(s.ttl[1], Number(r[of('maximumTTL')])),
      ];
      s.window = [
        Math.min(s.window[0], Number(r[of('minimumTcpWindow')])),
        Math.max(s.window[1], Number(r[of('maximumTcpWindow')])),
      ];
    }
    const payloads = list(r, 'firstPayloadSizes').filter((size) => size !== 0);
    flow.payloads = payloads.map((size) => (swapped ? -size : size));
  }
  return [...flows.values()];
}

/** A form in which flows of both sides can be compared. */
export const comparable = (flows: readonly OracleFlow[]): unknown[] =>
  flows
    .map((flow) => ({
      ...flow,
      startTick: flow.startTick.toString(),
      endTick: flow.endTick.toString(),
      sides: flow.sides.map(({ lastTick: _, ...rest }) => rest),
    }))
    .sort((a, b) => a.flow - b.flow || (BigInt(a.startTick) < BigInt(b.startTick) ? -1 : 1));
