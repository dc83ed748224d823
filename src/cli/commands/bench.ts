import type { Command } from 'commander';
import { pino } from 'pino';
import { benchFlood } from '../../capture/bench/flood-bench.js';
import { benchReplay, type ReplayBenchRow } from '../../capture/bench/replay-bench.js';
import { benchRing, type RingBenchRow } from '../../capture/bench/ring-bench.js';
import { benchPackets, type PacketBenchRow } from '../../capture/packet-bench.js';
import { benchInference } from '../../fingerprint/bench.js';
import { benchStore } from '../../store/bench/index.js';
import { refreshTime } from '../bench/forecast-refresh.js';
import { type PlanTime, planTimes } from '../bench/plan-time.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, renderTable, toJson } from '../output.js';

interface Bench {
  readonly description: string;
  run(context: CliContext, output: OutputFormat): Promise<void>;
}

/** One entry a bench; `bench all` runs them in this order. */
const BENCHES: Readonly<Record<string, Bench>> = {
  packet: { description: 'cost of metering a packet beside the conventional design', run: packetBench },
  replay: {
    description: 'reading a capture file beside every other meter that is installed',
    run: replayBench,
  },
  ring: {
    description: 'delta records from the ring to the merged flow, memory of a flow, hand-over',
    run: ringBench,
  },
  flood: {
    description: 'a SYN flood from a million random sources, each packet accounted for',
    run: floodBench,
  },
  infer: { description: 'flow records a second through features, network and registry', run: inferBench },
  forecast: {
    description: 'CPU time of one refresh of the forecasts of 500 workloads x 3 signals',
    run: forecastBench,
  },
  plan: { description: 'time from forecasts to a plan with its id', run: planBench },
  store: { description: 'records a second into the embedded engine, and its queries', run: storeBench },
};

/** Every figure of a result under its path in the JSON, as CSV has no depth. */
function* figures(value: unknown, path = ''): Generator<readonly [string, string | number]> {
  if (typeof value === 'number' || typeof value === 'string') yield [path, value];
  else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value))
      yield* figures(inner, path === '' ? key : `${path}.${key}`);
}

/** The figures that are worth a look, a line each. */
function printFigures(context: CliContext, shown: readonly (readonly [string, string])[]): void {
  context.stdout.write(
    renderTable(shown, [
      { title: 'figure', value: ([what]) => what },
      { title: 'value', value: ([, value]) => value, align: 'right' },
    ]),
  );
}

/** Whether a result was printed as JSON or CSV; a table has its own look. */
function printedAsData(context: CliContext, output: OutputFormat, result: unknown): boolean {
  if (output === 'json') context.stdout.write(`${toJson(result)}\n`);
  else if (output === 'csv')
    printRows(
      context,
      output,
      [...figures(result)],
      [
        { title: 'figure', value: ([path]) => path },
        { title: 'value', value: ([, value]) => value },
      ],
    );
  return output !== 'table';
}

async function storeBench(context: CliContext, output: OutputFormat): Promise<void> {
  const result = await benchStore({
    logger: pino({ level: 'silent' }),
    progress: (what) => context.stderr.write(`${what}\n`),
  });
  if (printedAsData(context, output, result)) return;
  const shown: readonly (readonly [string, string])[] = [
    ['records inserted a second', String(result.insert.rowsPerSecond)],
    [
      'CPU a record, engine / writer, us',
      `${result.insert.engineCpuMicrosPerRow} / ${result.insert.writerCpuMicrosPerRow}`,
    ],
    ['longest pause of the event loop, ms', String(result.insert.loopMaxMs)],
    ['octets a record in the spool / on disk', `${result.insert.bytesPerRow} / ${result.diskBytesPerRow}`],
    [
      `backlog of ${result.outage.outageSeconds} s sent, by the rate of what keeps coming`,
      `${result.outage.catchUpByLiveRate} x`,
    ],
    ['oldest that the newest stored record was meanwhile, s', String(result.outage.newestAgeMaxSeconds)],
    ['records missing after it', String(result.outage.missing.flows)],
    [`top talkers of 1 h in ${result.rows} records, ms`, String(result.queries.topTalkers1hMs)],
    ['rates by minute over a day, ms', String(result.queries.perMinuteDayMs)],
    [`nearest of ${result.vectors} fingerprints, ms`, String(result.queries.nearest1MMs)],
    ['the same by comparing with each, ms', String(result.nearest.exactMs)],
    ['of the 10 nearest, found by the index', String(result.nearest.recallAt10)],
    ['making that index, s', String(result.nearest.indexSeconds)],
  ];
  printFigures(context, shown);
}

/** 500 workloads with three signals each. */
const REFRESHED_SERIES = 1500;

async function forecastBench(context: CliContext, output: OutputFormat): Promise<void> {
  const result = refreshTime(REFRESHED_SERIES);
  if (printedAsData(context, output, result)) return;
  context.stdout.write(
    renderTable(
      [result],
      [
        { title: 'series', value: (row) => row.series, align: 'right' },
        { title: 'points each', value: (row) => row.pointsEach, align: 'right' },
        { title: 'CPU seconds', value: (row) => row.cpuSeconds.toFixed(1), align: 'right' },
        { title: 'CPU ms each', value: (row) => row.cpuMsEach.toFixed(2), align: 'right' },
        { title: 'CPU ms, first time', value: (row) => row.firstCpuMsEach.toFixed(0), align: 'right' },
      ],
    ),
  );
}

async function planBench(context: CliContext, output: OutputFormat): Promise<void> {
  const rows = await planTimes();
  if (printedAsData(context, output, rows)) return;
  const seconds = (value: number): string => value.toFixed(3);
  context.stdout.write(
    renderTable<PlanTime>(rows, [
      { title: 'workloads', value: (row) => row.workloads, align: 'right' },
      { title: 'periods', value: (row) => row.periods, align: 'right' },
      { title: 'seconds, warm', value: (row) => seconds(row.medianSeconds), align: 'right' },
      { title: 'seconds, first', value: (row) => seconds(row.coldSeconds), align: 'right' },
    ]),
  );
}

async function inferBench(context: CliContext, output: OutputFormat): Promise<void> {
  const result = await benchInference();
  if (printedAsData(context, output, result)) return;
  const table = renderTable(Object.entries(result.rowsPerSecond), [
    { title: 'stage', value: ([stage]) => stage },
    { title: 'rows/s', value: ([, rate]) => rate, align: 'right' },
  ]);
  context.stdout.write(`${table}one worker / in process: ${result.workerToInProcess.toFixed(2)}\n`);
}

async function packetBench(context: CliContext, output: OutputFormat): Promise<void> {
  const result = await benchPackets({
    signal: context.signal,
    progress: (flows) => context.stderr.write(`measuring ${flows} flows\n`),
  });
  if (printedAsData(context, output, result)) return;
  const render = (rows: readonly PacketBenchRow[]): string =>
    renderTable<PacketBenchRow>(rows, [
      { title: 'program', value: (row) => row.program },
      { title: 'flows', value: (row) => row.flows, align: 'right' },
      { title: 'ns/packet', value: (row) => row.nsPerPacket.toFixed(1), align: 'right' },
      { title: 'exports/packet', value: (row) => row.exportsPerPacket.toFixed(3), align: 'right' },
      { title: 'of hash_spinlock', value: (row) => row.ratioToHashSpinlock.toFixed(2), align: 'right' },
    ]);
  const cores = renderTable(
    result.computed.filter((rate) => rate.flows === 'zipf-1M' || rate.flows === '1k'),
    [
      { title: 'link', value: (rate) => rate.link },
      { title: 'frames', value: (rate) => rate.frames },
      { title: 'flows', value: (rate) => rate.flows, align: 'right' },
      { title: 'cores (computed)', value: (rate) => rate.computedCores.toFixed(2), align: 'right' },
    ],
  );
  const { nsPerPacket, fastest, slowest } = result.floor;
  const speed = `speed of the machine: xdp_drop ${nsPerPacket.toFixed(1)} ns, ${fastest.toFixed(1)} to ${slowest.toFixed(1)}`;
  context.stdout.write(
    `${render(result.rows)}${speed}\n\nlive frames over veth\n${render(result.veth)}\n${cores}`,
  );
}

async function replayBench(context: CliContext, output: OutputFormat): Promise<void> {
  const result = await benchReplay({
    signal: context.signal,
    progress: (what) => context.stderr.write(`${what}\n`),
  });
  if (printedAsData(context, output, result)) return;
  const table = renderTable<ReplayBenchRow>(result.rows, [
    { title: 'tool', value: (row) => row.tool },
    { title: 'CPU time of', value: (row) => row.covers },
    { title: 'rounds', value: (row) => row.rounds, align: 'right' },
    { title: 'packets', value: (row) => row.packets, align: 'right' },
    { title: 'packets per CPU second', value: (row) => row.packetsPerCpuSecond, align: 'right' },
    { title: 'best', value: (row) => row.best, align: 'right' },
  ]);
  const ratio =
    result.ratioToSoftflowd === null ? '' : `of softflowd: ${result.ratioToSoftflowd.toFixed(1)}\n`;
  const missing = result.missing.length > 0 ? `not installed: ${result.missing.join(', ')}\n` : '';
  context.stdout.write(`${table}${ratio}${missing}`);
}

async function ringBench(context: CliContext, output: OutputFormat): Promise<void> {
  const result = benchRing({ progress: (what) => context.stderr.write(`${what}\n`) });
  if (printedAsData(context, output, result)) return;
  const table = renderTable<RingBenchRow>(result.rows, [
    { title: 'load', value: (row) => row.load },
    { title: 'live flows', value: (row) => row.liveFlows, align: 'right' },
    { title: 'new flows/record', value: (row) => row.turnover.toFixed(2), align: 'right' },
    { title: 'ns/record', value: (row) => row.nsPerRecord.toFixed(1), align: 'right' },
    { title: 'records per CPU second', value: (row) => row.recordsPerCpuSecond, align: 'right' },
    { title: 'best', value: (row) => row.best, align: 'right' },
  ]);
  const { bytesPerFlow, jsMicrosecondsPerBatch, rowsPerBatch } = result;
  context.stdout.write(
    `${table}octets a flow at ${bytesPerFlow.flows} flows: ${bytesPerFlow.table.toFixed(0)} of table, ` +
      `${bytesPerFlow.process.toFixed(0)} of the process\n` +
      `a batch of ${rowsPerBatch} rows into JavaScript and back: ${jsMicrosecondsPerBatch.toFixed(1)} us\n`,
  );
}

async function floodBench(context: CliContext, output: OutputFormat): Promise<void> {
  const result = await benchFlood({ progress: (what) => context.stderr.write(`${what}\n`) });
  if (printedAsData(context, output, result)) return;
  const lost = Object.entries(result.lost).map(([reason, packets]) => `${packets} ${reason}`);
  const shown: readonly (readonly [string, string])[] = [
    ['SYNs, each from a random source', String(result.sent)],
    ['a second', (result.sent / result.seconds).toFixed(0)],
    ['stored in records of single flows', String(result.single)],
    ['of pairs of prefixes', String(result.byPrefix)],
    ['of the protocol', String(result.byProtocol)],
    ['lost', lost.length === 0 ? 'none' : lost.join(', ')],
    ['flows held at most (of)', `${result.mostActiveFlows} (${result.maxFlows})`],
    ['memory grown by, MiB', (result.mostMemoryBytes / 2 ** 20).toFixed(1)],
    ['prefixes complete', `${result.prefixesComplete} of ${result.prefixes}`],
  ];
  printFigures(context, shown);
}

/** `tidegate bench packet|all`: figures of this machine, to be compared inside one run only. */
export function register(program: Command, context: CliContext): void {
  const bench = program.command('bench').description('measure what this machine can do');
  const formats: readonly OutputFormat[] = ['table', 'json', 'csv'];
  for (const [name, { description, run }] of Object.entries(BENCHES)) {
    bench
      .command(name)
      .description(description)
      .addOption(outputOption(formats))
      .action((options: { output: OutputFormat }) => run(context, options.output));
  }
  bench
    .command('all')
    .description('every bench, one after the other')
    .addOption(outputOption(formats))
    .action(async (options: { output: OutputFormat }) => {
      for (const { run } of Object.values(BENCHES)) await run(context, options.output);
    });
}
