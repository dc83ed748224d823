import { arch, cpus, release } from 'node:os';
import { join } from 'node:path';
import { defineErrors } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { middleOf } from '../base/statistics.js';
import { LivePair } from './bench/live-pair.js';
import { loadBpfAddon } from './bpf.js';
import { explainLoad } from './errors.js';
import { sizeLut } from './meter-options.js';

const fail = defineErrors({
  TG_CAPTURE_BENCH_BUSY: {
    message: '{missing} of {sent} live frames did not arrive, in each of several runs',
    hint: 'measure while nothing else keeps this machine busy',
    exitCode: 1,
  },
});

/**
 * What metering a packet costs, beside the conventional design. Every program of bench/packet/bench.bpf.c runs over
 * the same traces through BPF_PROG_TEST_RUN on one CPU, the programs interleaved round by round; CPU time of the
 * thread without the call's fixed part; medians. A machine whose core is shared runs at several speeds, and may change
 * between two rounds: a ratio is therefore the median of those within a round, and `floor` says how the speed of
 * nothing but the bench itself varied. Only figures of one run may be compared.
 */

const PROGRAMS = {
  xdp_drop: 'bench_drop',
  parse_only: 'bench_parse',
  hash_spinlock: 'bench_hash_spinlock',
  tidegate: 'bench_tidegate',
  tidegate_steer: 'bench_tidegate_steer',
} as const;

export type BenchProgram = keyof typeof PROGRAMS;

const TRACE_PACKETS = 2 ** 20;
/** A packet exports at most one record here, and a run's records must fit the ring. */
const RING_BYTES = 2 ** 26;
const RECORD_BYTES = 264;
const PACKETS_PER_RUN = Math.floor((RING_BYTES - 2 ** 20) / RECORD_BYTES / 1000) * 1000;
/** Live frames are dearer, and their fixed cost is nothing beside them. */
const LIVE_PACKETS = 200_000;
const LIVE_TRIES = 10;
const LIVE_TRACES: ReadonlySet<string> = new Set(['1k', '100k', 'zipf-1M']);
const TICK_NS = 1024;
const EXPORT_MS = 7500;
/** Reaching the first instruction of an XDP program on a NIC (Høiland-Jørgensen et al., CoNEXT 2018: 24 Mpps a core). */
const DRIVER_FLOOR_NS = 1e9 / 24e6;
const FRAME_OVERHEAD_OCTETS = 20; // preamble and inter-frame gap
const IMIX_OCTETS = (7 * 64 + 4 * 594 + 1518) / 12;

interface NativeBench {
  setTrace(flows: Uint32Array): void;
  run(
    program: string,
    frame: Uint8Array,
    packets: number,
  ): { readonly cpuNs: number; readonly exports: number; readonly lost: number };
  live(
    program: string,
    frame: Uint8Array,
    packets: number,
    netns: string,
    near: string,
    far: string,
  ): { readonly cpuNs: number; readonly received: number; readonly exports: number; readonly lost: number };
}

export interface PacketBenchRow {
  readonly program: BenchProgram;
  readonly flows: string;
  readonly nsPerPacket: number;
  readonly exportsPerPacket: number;
  /** nsPerPacket / that of hash_spinlock over the same trace in the same round, median of the rounds. */
  readonly ratioToHashSpinlock: number;
}

export interface ComputedRate {
  readonly link: string;
  readonly frames: '64B' | 'IMIX';
  readonly flows: string;
  /** Computed, not measured: driver floor of the literature + measured cost over xdp_drop. */
  readonly computedCores: number;
}

export interface PacketBenchResult {
  readonly rows: readonly PacketBenchRow[];
  /** The same over a veth pair with live frames: CPU time of the whole way, from page pool to verdict. */
  readonly veth: readonly PacketBenchRow[];
  readonly computed: readonly ComputedRate[];
  /** What xdp_drop took in the rounds of all traces: the speed at which this machine ran meanwhile. */
  readonly floor: { readonly nsPerPacket: number; readonly fastest: number; readonly slowest: number };
  readonly machine: {
    readonly cpu: string;
    readonly cpus: number;
    readonly kernel: string;
    readonly arch: string;
  };
}

export interface PacketBenchOptions {
  readonly rounds?: number;
  readonly cpu?: number;
  readonly cacheEntries?: number;
  readonly progress?: (flows: string) => void;
  readonly signal?: AbortSignal;
}

/** Deterministic uniform numbers in [0, 1): the same traces everywhere (xorshift32, Marsaglia 2003). */
function randomNumbers(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** Flow numbers whose popularity falls as 1/rank (Zipf, exponent 1), by inversion. */
function zipfTrace(flows: number, random: () => number): Uint32Array {
  const cumulative = new Float64Array(flows);
  let sum = 0;
  for (let i = 0; i < flows; i += 1) {
    sum += 1 / (i + 1);
    cumulative[i] = sum;
  }
  return Uint32Array.from({ length: TRACE_PACKETS }, () => {
    const wanted = random() * sum;
    let low = 0;
    let high = flows - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}

function traces(): [string, Uint32Array][] {
  const random = randomNumbers(1);
  const uniform = (flows: number): Uint32Array =>
    Uint32Array.from({ length: TRACE_PACKETS }, () => Math.floor(random() * flows));
  return [
    ['1', new Uint32Array(TRACE_PACKETS)],
    ['1k', uniform(1000)],
    ['100k', uniform(100_000)],
    ['1M', uniform(1_000_000)],
    ['zipf-1M', zipfTrace(1_000_000, random)],
  ];
}

/** A 64-octet TCP frame; the programs rewrite source address and port. */
const FRAME = Uint8Array.from([
  2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 168, 0, 1,
  0x9c, 0x40, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 3, 0xe8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]); // biome-ignore format: octets

/** Runs the bench: about a minute with 9 rounds. Needs the privileges of the kernel datapath. */
export async function benchPackets(options: PacketBenchOptions = {}): Promise<PacketBenchResult> {
  const addon = loadBpfAddon() as unknown as { readonly PacketBench: new (o: object) => NativeBench };
  let bench: NativeBench;
  try {
    bench = new addon.PacketBench({
      objectPath: join(packageRoot(), 'build', 'bpf', 'bench.bpf.o'),
      cacheEntries: options.cacheEntries ?? 4096,
      exportTicks: Math.ceil((EXPORT_MS * 1e6) / TICK_NS),
      idleTicks: Math.ceil((EXPORT_MS * 1e6) / TICK_NS),
      secret: Uint32Array.from({ length: 13 }, (_, i) => Math.imul(0x9e3779b1, i + 1) >>> 0),
      sizeLut: sizeLut(),
      tunnels: 0,
      headBytes: 0,
      ringBytes: RING_BYTES,
      cpu: options.cpu ?? cpus().length - 1,
      sweepPerBatch: 8,
      clockPackets: 16,
    });
  } catch (error) {
    throw explainLoad(error, release());
  }
  const rows: PacketBenchRow[] = [];
  const veth: PacketBenchRow[] = [];
  const floors: number[] = [];
  for (const [flows, trace] of traces()) {
    if (options.signal?.aborted) break;
    options.progress?.(flows);
    bench.setTrace(trace);
    const rounds = options.rounds ?? 9;
    rows.push(...measure(flows, rounds, (program) => runFrames(bench, program), floors));
    if (LIVE_TRACES.has(flows)) veth.push(...measureLive(bench, flows, rounds));
    // Let signals and other work in between traces.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    rows,
    veth,
    computed: computeRates(rows),
    floor: { nsPerPacket: middleOf(floors), fastest: Math.min(...floors), slowest: Math.max(...floors) },
    machine: { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, kernel: release(), arch: arch() },
  };
}

interface Measured {
  readonly nsPerPacket: number;
  readonly exportsPerPacket: number;
}

/** One program over frames of BPF_PROG_TEST_RUN, without the fixed cost of the call. */
function runFrames(bench: NativeBench, program: BenchProgram): Measured {
  const fixed = bench.run(PROGRAMS[program], FRAME, 1).cpuNs;
  const run = bench.run(PROGRAMS[program], FRAME, PACKETS_PER_RUN);
  if (run.lost > 0) throw new RangeError('the ring overflowed: the figures would flatter');
  return {
    nsPerPacket: (run.cpuNs - fixed) / PACKETS_PER_RUN,
    exportsPerPacket: run.exports / PACKETS_PER_RUN,
  };
}

/**
 * One program over live frames: those that did not arrive would flatter, so none may be missing. A pair's ring drops
 * frames when the reading side is held up by something else on a busy machine; such a run is thrown away.
 * @throws TG_CAPTURE_BENCH_BUSY
 */
function runLive(bench: NativeBench, program: BenchProgram, pair: LivePair, tries = LIVE_TRIES): Measured {
  const run = bench.live(PROGRAMS[program], FRAME, LIVE_PACKETS, pair.netns, pair.near, pair.far);
  if (run.lost > 0) throw new RangeError('the ring overflowed: the figures would flatter');
  if (run.received < LIVE_PACKETS) {
    if (tries > 1) return runLive(bench, program, pair, tries - 1);
    throw fail('TG_CAPTURE_BENCH_BUSY', { missing: LIVE_PACKETS - run.received, sent: LIVE_PACKETS });
  }
  return { nsPerPacket: run.cpuNs / LIVE_PACKETS, exportsPerPacket: run.exports / LIVE_PACKETS };
}

function measureLive(bench: NativeBench, flows: string, rounds: number): PacketBenchRow[] {
  const pair = new LivePair();
  try {
    return measure(flows, rounds, (program) => runLive(bench, program, pair));
  } finally {
    pair.remove();
  }
}

function measure(
  flows: string,
  rounds: number,
  run: (program: BenchProgram) => Measured,
  floors: number[] = [],
): PacketBenchRow[] {
  const names = Object.keys(PROGRAMS) as BenchProgram[];
  const times = new Map<BenchProgram, number[]>(names.map((name) => [name, []]));
  const exported = new Map<BenchProgram, number>();
  // The first round fills maps and pages and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const { nsPerPacket, exportsPerPacket } = run(name);
      if (round > 0) times.get(name)!.push(nsPerPacket);
      exported.set(name, exportsPerPacket);
    }
  }
  const reference = times.get('hash_spinlock')!;
  floors.push(...times.get('xdp_drop')!);
  return names.map((program) => ({
    program,
    flows,
    nsPerPacket: middleOf(times.get(program)!),
    exportsPerPacket: exported.get(program)!,
    ratioToHashSpinlock: middleOf(times.get(program)!.map((ns, round) => ns / reference[round]!)),
  }));
}

/** Cores that each link speed would take: (driver floor + cost over xdp_drop) × packet rate. */
function computeRates(rows: readonly PacketBenchRow[]): ComputedRate[] {
  return rows
    .filter((row) => row.program === 'tidegate')
    .flatMap(({ flows, nsPerPacket }) => {
      const floor = rows.find((row) => row.program === 'xdp_drop' && row.flows === flows)!.nsPerPacket;
      const cost = DRIVER_FLOOR_NS + nsPerPacket - floor;
      return [10, 25, 100].flatMap((gbit) =>
        (['64B', 'IMIX'] as const).map((frames) => {
          const octets = (frames === '64B' ? 64 : IMIX_OCTETS) + FRAME_OVERHEAD_OCTETS;
          const packetsPerSecond = (gbit * 1e9) / (octets * 8);
          return { link: `${gbit} GbE`, frames, flows, computedCores: (packetsPerSecond * cost) / 1e9 };
        }),
      );
    });
}
