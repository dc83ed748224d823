import { existsSync } from 'node:fs';
import { arch, cpus, release } from 'node:os';
import { middleOf } from '../../base/statistics.js';
import { SLAB_HEADER } from '../../flow/columns.js';
import { loadAddon, type MeterOptions, type NativeAddon } from '../addon.js';
import { prepareMeter } from '../meter-options.js';
import { SlabPool } from '../slab-pool.js';

/**
 * What a delta record costs from the ring to the merged flow, and a batch on its way into JavaScript. Records lie in
 * memory as the kernel would have left them; reader, flow table and slabs are the ones that run. CPU time of the
 * thread once the table has grown to its size, medians.
 */

interface NativeRingBench {
  benchRing(
    options: MeterOptions,
    load: {
      readonly rounds: number;
      readonly live: number;
      readonly turnover: number;
      readonly stateFile: string;
    },
  ): {
    readonly records: number;
    /** Records of the second half of the rounds, the CPU time that they took and the flows that they began. */
    readonly measured: number;
    readonly cpuNs: number;
    readonly created: number;
    readonly emitted: number;
    readonly liveFlows: number;
    readonly tableBytes: number;
    readonly privateBytes: number;
  };
}

export interface RingBenchRow {
  readonly load: string;
  readonly liveFlows: number;
  /** Flows that began, per record. */
  readonly turnover: number;
  readonly nsPerRecord: number;
  readonly recordsPerCpuSecond: number;
  readonly best: number;
}

export interface RingBench {
  readonly rows: readonly RingBenchRow[];
  /** User memory, octets: entries and index as allocated, and what the process really grew by. */
  readonly bytesPerFlow: { readonly flows: number; readonly table: number; readonly process: number };
  /** From the event with a slab's number until the slab is given back, all columns viewed: us per batch. */
  readonly jsMicrosecondsPerBatch: number;
  readonly rowsPerBatch: number;
  readonly machine: {
    readonly cpu: string;
    readonly cpus: number;
    readonly kernel: string;
    readonly arch: string;
  };
}

const MILLION = 1_000_000;
const RECORDS_PER_ROUND = 2 ** 14;
const RECORDS_PER_RUN = 2 ** 22;
/** New flows for each record: 25,000 a second at 7.5 M records a second. */
const CHURN = 1 / 300;
const HAND_OVERS = 2000;
const SLAB_ROWS = 4096;
const SETTINGS = {
  idleTimeoutMs: 200,
  activeTimeoutMs: 60_000,
  cacheEntries: 4096,
  maxFlows: 2 * MILLION,
  slabs: 8,
  slabRows: SLAB_ROWS,
};

/** The JavaScript side of one batch after another, as {@link SlabPool} and a consumer do it. */
function handOver(): number {
  const { buffers } = prepareMeter(SETTINGS);
  for (const buffer of buffers) {
    const header = new Uint32Array(buffer, 0, 16);
    header[SLAB_HEADER.rows] = SLAB_ROWS;
    header[SLAB_HEADER.capacity] = SLAB_ROWS;
  }
  const pool = new SlabPool(buffers);
  const times: number[] = [];
  for (let i = 0; i < HAND_OVERS; i += 1) {
    const begin = process.hrtime.bigint();
    pool.take(i % buffers.length).release();
    times.push(Number(process.hrtime.bigint() - begin) / 1e3);
  }
  return middleOf(times);
}

/**
 * Measures. Several rounds of each load, interleaved.
 *
 * @throws TG_CAPTURE_ADDON
 */
export function benchRing(
  options: { readonly rounds?: number; readonly progress?: (what: string) => void } = {},
): RingBench {
  const { rounds = 3, progress = () => {} } = options;
  const native = loadAddon() as NativeAddon & NativeRingBench;
  const { options: meter } = prepareMeter(SETTINGS);
  const state = existsSync('/dev/shm') ? `/dev/shm/tidegate-bench-${process.pid}` : '';
  const loads = [
    { load: 'steady', live: 100_000, turnover: 0, stateFile: '' },
    { load: 'churn', live: 100_000, turnover: CHURN, stateFile: '' },
    { load: 'a new flow every 4 records', live: 100_000, turnover: 0.25, stateFile: '' },
    ...(state === ''
      ? []
      : [{ load: 'churn, surviving kill -9', live: 100_000, turnover: CHURN, stateFile: state }]),
  ];
  const rates = loads.map(() => [] as number[]);
  const started = loads.map(() => 0);
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    for (const [i, { live, turnover, stateFile }] of loads.entries()) {
      const run = native.benchRing(meter, {
        rounds: RECORDS_PER_RUN / RECORDS_PER_ROUND,
        live,
        turnover,
        stateFile,
      });
      rates[i]!.push((run.measured / run.cpuNs) * 1e9);
      started[i] = run.created / run.measured;
    }
  }
  progress('a million flows');
  const full = native.benchRing(
    { ...meter, idleNs: 60e9 },
    { rounds: Math.ceil(MILLION / RECORDS_PER_ROUND), live: MILLION, turnover: 0, stateFile: '' },
  );
  return {
    rows: loads.map(({ load, live }, i) => ({
      load,
      liveFlows: live,
      turnover: started[i]!,
      nsPerRecord: 1e9 / middleOf(rates[i]!),
      recordsPerCpuSecond: Math.round(middleOf(rates[i]!)),
      best: Math.round(Math.max(...rates[i]!)),
    })),
    bytesPerFlow: {
      flows: full.liveFlows,
      table: full.tableBytes / full.liveFlows,
      process: full.privateBytes / full.liveFlows,
    },
    jsMicrosecondsPerBatch: handOver(),
    rowsPerBatch: SLAB_ROWS,
    machine: { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, kernel: release(), arch: arch() },
  };
}
