import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { arch, cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineErrors } from '../../base/errors.js';
import { packageRoot } from '../../base/package-root.js';
import { middleOf } from '../../base/statistics.js';
import { ReplaySource } from '../replay.js';
import { type WrittenCapture, writeSyntheticCapture } from './synthetic-capture.js';

/**
 * Reading one capture with everything that is installed, side by side: the same page-cached file, the tools
 * interleaved round by round, CPU time (user and system), medians. Only figures of one run may be compared.
 */

const fail = defineErrors({
  TG_CAPTURE_BENCH_SPACE: {
    message: 'the capture of this bench needs {need} MB in {directory}, {free} MB are free',
    hint: 'set TMPDIR to a larger file system, or ask for fewer packets with --packets',
  },
});

const MEAN_PACKET_OCTETS = 580;
const SEED = 1;
const MB = 2 ** 20;

export interface ReplayBenchOptions {
  /** Default 4,000,000, about 2.3 GB. */
  readonly packets?: number;
  readonly flows?: number;
  readonly rounds?: number;
  readonly progress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

export interface ReplayBenchRow {
  readonly tool: string;
  /** What the CPU time covers. */
  readonly covers: string;
  readonly rounds: number;
  readonly packets: number;
  readonly packetsPerCpuSecond: number;
  readonly best: number;
  readonly worst: number;
}

export interface ReplayBench {
  readonly capture: WrittenCapture;
  readonly rows: readonly ReplayBenchRow[];
  /** Median of the rounds' ratios, tidegate / softflowd; null when softflowd is not installed. */
  readonly ratioToSoftflowd: number | null;
  readonly missing: readonly string[];
  readonly machine: {
    readonly cpu: string;
    readonly cpus: number;
    readonly kernel: string;
    readonly arch: string;
  };
}

interface Tool {
  readonly name: string;
  readonly command: readonly string[];
  /** Slow tools read only so many packets, in one round. */
  readonly packets?: number;
}

/** Exporters send to a closed port of the loopback; the flow limit of softflowd is above the capture's flows. */
const tools = (file: string, directory: string): readonly Tool[] => [
  {
    name: 'softflowd',
    command: ['softflowd', '-r', file, '-n', '127.0.0.1:9', '-d', '-v', '9', '-m', '131072'],
  },
  { name: 'nfpcapd', command: ['nfpcapd', '-r', file, '-w', directory] },
  { name: 'argus', command: ['argus', '-r', file, '-w', '/dev/null'] },
  { name: 'ndpiReader', command: ['ndpiReader', '-i', file, '-q'] },
  {
    name: 'tshark',
    command: ['tshark', '-n', '-r', file, '-c', '50000', '-q', '-z', 'conv,ip'],
    packets: 50_000,
  },
];

const isInstalled = (program: string): boolean =>
  spawnSync('bash', ['-c', 'type -P "$0"', program]).status === 0;

/** CPU seconds, user and system, of a process that ran to its end; undefined when it failed. */
function cpuSecondsOf(command: readonly string[]): number | undefined {
  const run = spawnSync(
    'bash',
    ['-c', 'TIMEFORMAT="%U %S"; { time "$@" >/dev/null 2>&1; } 2>&1 || exit 1', 'bash', ...command],
    { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } },
  );
  const [user, system] = run.stdout.trim().split(' ').map(Number);
  return run.status === 0 && user !== undefined && system !== undefined ? user + system : undefined;
}

/** One reading by our own meter in this process: CPU seconds of the reading thread, and packets. */
async function replayOnce(file: string): Promise<{ cpuSeconds: number; packets: number }> {
  const source = new ReplaySource({ files: [file] });
  await source.start();
  await source.done;
  const result = { cpuSeconds: source.cpuSeconds, packets: source.counters().deliveredPackets };
  await source.stop();
  return result;
}

const rowOf = (tool: string, covers: string, packets: number, rates: readonly number[]): ReplayBenchRow => ({
  tool,
  covers,
  rounds: rates.length,
  packets,
  packetsPerCpuSecond: Math.round(middleOf(rates)),
  best: Math.round(Math.max(...rates)),
  worst: Math.round(Math.min(...rates)),
});

async function measure(
  file: string,
  directory: string,
  capture: WrittenCapture,
  options: Required<Pick<ReplayBenchOptions, 'rounds' | 'progress'>> & { signal?: AbortSignal | undefined },
): Promise<ReplayBench> {
  const wanted = tools(file, directory);
  const installed = wanted.filter((tool) => isInstalled(tool.name));
  const own: number[] = [];
  const whole: number[] = [];
  const ratios: number[] = [];
  const rates = new Map(installed.map((tool) => [tool.name, [] as number[]]));
  const cli = join(packageRoot(), 'dist', 'cli', 'main.js');

  await replayOnce(file); // brings the file into the page cache, uncounted
  for (let round = 0; round < options.rounds; round += 1) {
    options.signal?.throwIfAborted();
    options.progress(`round ${round + 1} of ${options.rounds}`);
    const { cpuSeconds, packets } = await replayOnce(file);
    own.push(packets / cpuSeconds);
    const process_ = cpuSecondsOf([process.execPath, cli, 'replay', '--output', 'none', file]);
    if (process_ !== undefined) whole.push(capture.packets / process_);
    for (const { name, command, packets: limit } of installed) {
      if (limit !== undefined && round > 0) continue;
      const seconds = cpuSecondsOf(command);
      if (seconds === undefined) continue;
      const rate = (limit ?? capture.packets) / seconds;
      rates.get(name)?.push(rate);
      if (name === 'softflowd') ratios.push(packets / cpuSeconds / rate);
    }
  }
  const rows = [
    rowOf('tidegate', 'reading thread', capture.packets, own),
    rowOf('tidegate replay', 'whole process with its runtime', capture.packets, whole),
    ...installed.map((tool) =>
      rowOf(tool.name, 'whole process', tool.packets ?? capture.packets, rates.get(tool.name) ?? []),
    ),
  ];
  return {
    capture,
    rows: rows.filter((row) => row.rounds > 0),
    ratioToSoftflowd: ratios.length > 0 ? middleOf(ratios) : null,
    missing: wanted.filter((tool) => !installed.includes(tool)).map((tool) => tool.name),
    machine: { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, kernel: release(), arch: arch() },
  };
}

/**
 * Writes a capture of mixed sizes (mean 560 octets) and many flows into the temporary directory, reads it with every
 * tool in turn and removes it again.
 *
 * @throws TG_CAPTURE_BENCH_SPACE
 */
export async function benchReplay(options: ReplayBenchOptions = {}): Promise<ReplayBench> {
  const { packets = 4_000_000, flows = 50_000, rounds = 5, progress = () => {}, signal } = options;
  const needMb = Math.ceil((packets * MEAN_PACKET_OCTETS) / MB);
  const { bavail, bsize } = statfsSync(tmpdir());
  const freeMb = Math.floor((bavail * bsize) / MB);
  if (freeMb < needMb)
    throw fail('TG_CAPTURE_BENCH_SPACE', { need: needMb, free: freeMb, directory: tmpdir() });
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-replay-bench-'));
  try {
    const file = join(directory, 'mixed.pcap');
    progress(`writing a capture of ${packets} packets`);
    const capture = writeSyntheticCapture(file, { packets, flows, zipfExponent: 1, seed: SEED });
    return await measure(file, directory, capture, { rounds, progress, signal });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
