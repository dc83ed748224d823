/**
 * A slow, plain meter: one JavaScript object a flow, nothing shared with the C. It takes packets as facts (not
 * bytes) and says what all records of a flow must add up to.
 */
import { DEFAULT_SIZE_EDGES } from '../../src/capture/meter-options.js';
import type { Delta } from './delta.js';
import { STATE } from './delta.js';

export interface OraclePacket {
  readonly flow: number;
  /** 0 = lower → upper. */
  readonly direction: 0 | 1;
  readonly octets: number;
  readonly payload: number;
  readonly flags: number;
  readonly ttl: number;
  readonly window: number;
  readonly tick: number;
}

export interface FlowTotals {
  packets: [number, number];
  octets: [number, number];
  sizes: number[];
  gaps: number[];
  flags: number[];
  payloads: number[];
  ttl: [number, number, number, number];
  window: [number, number, number, number];
  firstTick: number;
  lastTick: number;
}

const emptyTotals = (): FlowTotals => ({
  packets: [0, 0],
  octets: [0, 0],
  sizes: Array(32).fill(0),
  gaps: Array(32).fill(0),
  flags: Array(16).fill(0),
  payloads: [],
  ttl: [255, 255, 0, 0],
  window: [65535, 65535, 0, 0],
  firstTick: 0,
  lastTick: 0,
});

const gapBin = (ticks: number): number => (ticks < 2 ? 0 : Math.min(15, Math.floor(Math.log2(ticks))));
const sizeBin = (octets: number): number => {
  const bin = DEFAULT_SIZE_EDGES.findIndex((edge) => octets < edge);
  return bin === -1 ? DEFAULT_SIZE_EDGES.length : bin;
};

export class Oracle {
  readonly flows = new Map<number, FlowTotals>();
  readonly #last = new Map<string, number>();

  add(p: OraclePacket): void {
    const t = this.flows.get(p.flow) ?? emptyTotals();
    const d = p.direction;
    if (!this.flows.has(p.flow)) t.firstTick = p.tick;
    this.flows.set(p.flow, t);
    t.lastTick = p.tick;
    t.packets[d] += 1;
    t.octets[d] += p.octets;
    t.sizes[d * 16 + sizeBin(p.octets)]! += 1;
    const last = this.#last.get(`${p.flow}/${d}`);
    if (last !== undefined) t.gaps[d * 16 + gapBin(p.tick - last)]! += 1;
    this.#last.set(`${p.flow}/${d}`, p.tick);
    for (let bit = 0; bit < 8; bit += 1) t.flags[d * 8 + bit]! += (p.flags >> bit) & 1;
    if (p.payload > 0 && t.payloads.length < 8) t.payloads.push(d === 0 ? p.payload : -p.payload);
    t.ttl[d] = Math.min(t.ttl[d]!, p.ttl);
    t.ttl[2 + d] = Math.max(t.ttl[2 + d]!, p.ttl);
    t.window[d] = Math.min(t.window[d]!, p.window);
    t.window[2 + d] = Math.max(t.window[2 + d]!, p.window);
  }
}

/** Adds up delta records as user space has to: additive fields, minima, maxima, and the gaps between residencies. */
export function mergeRecords(
  records: readonly Delta[],
  flowOf: (record: Delta) => number,
): Map<number, FlowTotals> {
  const flows = new Map<number, FlowTotals>();
  const last = new Map<string, { tick: number; continues: boolean }>();
  for (const record of records) {
    const flow = flowOf(record);
    const known = flows.has(flow);
    const t = flows.get(flow) ?? emptyTotals();
    flows.set(flow, t);
    const packets = record.numbers('packets');
    const [first, final] = [record.numbers('first_tick'), record.numbers('last_tick')];
    const continues = (record.number('state') & STATE.continues) !== 0;
    for (const d of [0, 1] as const) {
      const key = `${flow}/${d}`;
      const before = last.get(key);
      if (packets[d]! > 0) {
        if (before !== undefined && !before.continues) t.gaps[d * 16 + gapBin(first[d]! - before.tick)]! += 1;
        last.set(key, { tick: final[d]!, continues });
      } else if (before !== undefined && ((record.number('seen') >> d) & 1) === 1) {
        last.set(key, { tick: before.tick, continues });
      }
      t.packets[d] += packets[d]!;
      t.octets[d] += record.numbers('octets')[d]!;
      t.ttl[d] = Math.min(t.ttl[d]!, record.numbers('ttl_min')[d]!);
      t.ttl[2 + d] = Math.max(t.ttl[2 + d]!, record.numbers('ttl_max')[d]!);
      t.window[d] = Math.min(t.window[d]!, record.numbers('window_min')[d]!);
      t.window[2 + d] = Math.max(t.window[2 + d]!, record.numbers('window_max')[d]!);
    }
    record.numbers('size_bins').forEach((n, i) => {
      t.sizes[i]! += n;
    });
    record.numbers('iat_bins').forEach((n, i) => {
      t.gaps[i]! += n;
    });
    record.numbers('flag_counts').forEach((n, i) => {
      t.flags[i]! += n;
    });
    t.payloads = [
      ...t.payloads,
      ...record.numbers('first_payload').slice(0, record.number('payload_count')),
    ].slice(0, 8);
    const times = ([0, 1] as const).filter((d) => packets[d]! > 0);
    if (times.length > 0) {
      if (!known) t.firstTick = Math.min(...times.map((d) => first[d]!));
      t.lastTick = Math.max(t.lastTick, ...times.map((d) => final[d]!));
    }
  }
  return flows;
}
