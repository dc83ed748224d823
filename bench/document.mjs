// Puts the tables of bench results into the documentation, between the marks `<!-- bench NAME -->` and `<!-- /bench -->`.
// Usage: tidegate bench NAME --output json (or what COMMANDS says) > bench/results/NAME.json, then node bench/document.mjs [--check].
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { number, table } from './markdown.mjs';
import { scaleTables } from './scale.mjs';

const root = join(import.meta.dirname, '..');
const named = (flows) => `${flows} ${flows === '1' ? 'flow' : 'flows'}`;
/** How fast the machine ran meanwhile, where the result says so. */
const speed = ({ floor }) =>
  floor === undefined
    ? ''
    : ` It ran at one speed or another: \`xdp_drop\` took ${number(floor.fastest, 1)} to ${number(floor.slowest, 1)} ns; ratios are medians of those within a round.`;
const on = ({ machine: { cpu, cpus, kernel } }) => `${cpu}, ${cpus} CPUs, Linux ${kernel}.`;

/** By name of the bench: its table. */
const TABLES = {
  packet(result) {
    const flows = [...new Set(result.rows.map((row) => row.flows))];
    const programs = [...new Set(result.rows.map((row) => row.program))];
    const cost = (rows, program, of) => {
      const row = rows.find((r) => r.program === program && r.flows === of);
      return row === undefined
        ? '–'
        : `${number(row.nsPerPacket, 1)} (${number(row.ratioToHashSpinlock, 2)})`;
    };
    const live = [...new Set(result.veth.map((row) => row.flows))];
    const cores = result.computed.filter(({ flows: of }) => of === 'zipf-1M');
    return [
      `CPU nanoseconds a packet, and in parentheses divided by those of \`hash_spinlock\`, on ${on(result)}${speed(result)}`,
      table(
        ['program', ...flows.map(named)],
        programs.map((p) => [`\`${p}\``, ...flows.map((of) => cost(result.rows, p, of))]),
      ),
      'The same with live frames over a veth pair, all the way from page pool to verdict:',
      table(
        ['program', ...live.map(named)],
        programs.map((p) => [`\`${p}\``, ...live.map((of) => cost(result.veth, p, of))]),
      ),
      'Cores that metering takes at line rate with a million Zipf flows, **computed** from the above:',
      table(
        ['link', 'frames', 'cores'],
        cores.map(({ link, frames, computedCores }) => [link, frames, number(computedCores, 2)]),
      ),
    ].join('\n\n');
  },
  ring(result) {
    const { bytesPerFlow, jsMicrosecondsPerBatch, rowsPerBatch } = result;
    return [
      `From the ring to the merged flow, on ${on(result)}`,
      table(
        ['load', 'live flows', 'CPU ns a record', 'records a CPU second'],
        result.rows.map((r) => [
          r.load,
          number(r.liveFlows),
          number(r.nsPerRecord, 1),
          number(r.recordsPerCpuSecond),
        ]),
      ),
      `A flow takes ${number(bytesPerFlow.table)} octets of the table and ${number(bytesPerFlow.process)} of the process's memory at ${number(bytesPerFlow.flows)} flows; a batch of ${number(rowsPerBatch)} rows is in JavaScript and back after ${number(jsMicrosecondsPerBatch, 1)} µs.`,
    ].join('\n\n');
  },
  flood({ sent, senders, seconds, lost, ...r }) {
    const reasons = Object.entries(lost).map(([reason, packets]) => `${number(packets)} \`${reason}\``);
    return [
      `${number(sent)} SYNs, each from a random source, by ${senders} senders in ${number(seconds, 1)} s, on ${on(r)}`,
      table(
        ['what', 'packets'],
        [
          ['seen', number(r.seen)],
          ['stored in records of single flows', number(r.single)],
          ['in records of pairs of prefixes', number(r.byPrefix)],
          ['in records of the protocol', number(r.byProtocol)],
          ['lost', reasons.length === 0 ? 'none' : reasons.join(', ')],
        ],
      ),
      `At most ${number(r.mostActiveFlows)} flows were held (\`maxFlows\` ${number(r.maxFlows)}), and the process grew by ${number(r.mostMemoryBytes / 2 ** 20)} MiB. Of the ${number(r.prefixes)} /16 that sources were of, ${number(r.prefixesComplete)} have every packet in records of their own; what the others miss is what is in the protocol's record or lost, to the packet.`,
    ].join('\n\n');
  },
  replay({ capture, rows, ratioToSoftflowd, machine }) {
    const peer = rows.find((r) => r.tool === 'softflowd');
    return [
      `${number(capture.packets)} packets of ${number(capture.flows)} flows, ${number(capture.octets / capture.packets)} octets on average, page-cached, on ${on({ machine })}`,
      table(
        ['tool', 'CPU time of', 'packets a CPU second', 'best', 'worst', 'of softflowd'],
        rows.map((r) => [
          `\`${r.tool}\``,
          r.covers,
          number(r.packetsPerCpuSecond),
          number(r.best),
          number(r.worst),
          peer === undefined ? '–' : number(r.packetsPerCpuSecond / peer.packetsPerCpuSecond, 1),
        ]),
      ),
      ...(ratioToSoftflowd === null
        ? []
        : [`Median of the rounds' ratios to softflowd: ${number(ratioToSoftflowd, 1)}.`]),
    ].join('\n\n');
  },
  plan: (rows) =>
    table(
      ['workloads', 'periods', 'seconds to a plan', 'the first one'],
      rows.map((r) => [
        number(r.workloads),
        number(r.periods),
        number(r.medianSeconds, 3),
        number(r.coldSeconds, 3),
      ]),
    ),
  scale: (result) => scaleTables(result, resultOf('ring')),
  simulate(traces) {
    const of = (trace, policy) => trace.policies.find((p) => p.policy === policy);
    const both = traces.filter((trace) => {
      const [own, reactive] = [of(trace, 'tidegate'), of(trace, 'reactive-50/35')];
      return own.totalCostUsd < reactive.totalCostUsd && own.violationMinutes < reactive.violationMinutes;
    });
    const neither = traces.filter((trace) => {
      const [own, reactive] = [of(trace, 'tidegate'), of(trace, 'reactive-50/35')];
      const none = own.violationMinutes === 0 && reactive.violationMinutes === 0;
      return none && own.totalCostUsd < reactive.totalCostUsd;
    });
    const pool = (trace) => trace.alternatives.find(({ name }) => name.startsWith('warm pool'));
    const bills = traces.flatMap((trace) => trace.burstable?.ratioToOracle ?? []);
    const mean = bills.reduce((sum, ratio) => sum + ratio, 0) / bills.length;
    return [
      table(
        [
          'trace',
          'mean need',
          'total',
          'compute',
          'violation %',
          'reactive total',
          'reactive violation %',
          '5 min lead: compute',
          'violation %',
          'p95 bill',
        ],
        traces.map((trace) => {
          const [own, reactive] = [of(trace, 'tidegate'), of(trace, 'reactive-50/35')];
          return [
            trace.file.replace(/^.*\//, '').replace(/\.csv$/, ''),
            number(of(trace, 'oracle').meanMachines, 2),
            number(own.ratioToOracle, 4),
            number(own.computeRatioToOracle, 3),
            number(own.violationPercent, 3),
            number(reactive.ratioToOracle, 4),
            number(reactive.violationPercent, 3),
            number(pool(trace).computeRatioToOracle, 3),
            number(pool(trace).violationPercent, 3),
            trace.burstable === null ? '' : number(trace.burstable.ratioToOracle, 3),
          ];
        }),
      ),
      `Totals and compute are divided by the oracle's. Cheaper than \`reactive-50/35\` with fewer violation minutes: ${both.length} of ${traces.length}; cheaper where neither has any: ${neither.length}. The p95 bill of two burstable links, mean of ${bills.length}: ${number(mean, 3)} of perfect foresight.`,
    ].join('\n\n');
  },
};

/** By name of the table: the command that makes its result, where it is no bench of that name. */
const COMMANDS = {
  simulate: 'plan simulate FILE.csv… --output json',
  scale: 'bench store --output json',
};
/** By name of the table: its result, where it has another name. */
const RESULTS = { scale: 'store' };
const pathOf = (name) => join(root, 'bench', 'results', `${RESULTS[name] ?? name}.json`);
const resultOf = (name) => JSON.parse(readFileSync(pathOf(name), 'utf8'));

let stale = 0;
const folder = join(root, 'docs');
for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.md')) continue;
  const file = join(folder, name);
  const text = readFileSync(file, 'utf8');
  const next = text.replace(
    /(<!-- bench (\w+) -->\n)[\s\S]*?(<!-- \/bench -->)/g,
    (whole, begin, bench, end) => {
      if (!existsSync(pathOf(bench))) return whole;
      const made = `Made by \`node bench/document.mjs\` from \`tidegate ${COMMANDS[bench] ?? `bench ${bench} --output json`}\`.`;
      return `${begin}\n${TABLES[bench](resultOf(bench))}\n\n${made}\n\n${end}`;
    },
  );
  if (next === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`docs/${name} is stale: node bench/document.mjs`);
    stale += 1;
  } else writeFileSync(file, next);
}
process.exit(stale > 0 ? 1 : 0);
