// Writes what the lab's scenarios measured into docs/actuation.md. `node scripts/actuation-figures.mjs` plays them all
// (five minutes, best on a machine that does nothing else); `… --from DIRECTORY` takes reports that are there already,
// each as `tidegate lab --scenario NAME --output json > DIRECTORY/NAME.json` left it.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'actuation.md');
const [BEGIN, END] = ['<!-- figures: scripts/actuation-figures.mjs -->', '<!-- end of figures -->'];

const ms = (value) =>
  value === null ? 'not reached' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const count = (value) => value.toLocaleString('en-US');
const usd = (value) => `$${value.toFixed(5)}`;
const unmoved = (r) => `lost ${r.lostPackets}, reordered ${r.reorderedPackets}, moved ${r.movedFlows}`;
const steered = (r) =>
  `${r.steering.changes} changes under ${count(r.packetsPerSecond)} packets/s: first new flow after p50 ` +
  `${ms(r.steering.p50Ms)}, p99 ${ms(r.steering.p99Ms)} (from the plan p50 ${ms(r.steering.planned.p50Ms)}); ${unmoved(r)}`;

/** What is said of each report. */
const ROWS = {
  steer: steered,
  frames: (r) => `${steered(r)}, of ${count(r.flows)} flows`,
  ceilings: (r) =>
    `${r.ceilings.changes} changes: in effect after p50 ${ms(r.ceilings.p50Ms)}, at most ${ms(r.ceilings.maxMs)}; ` +
    `dropped ${r.droppedPackets}, lost ${r.lostPackets}`,
  'link-down': (r) => `new flows lost for ${ms(r.lossWindowMs)}; as journalled: ${r.consistent}`,
  surge: (r) =>
    `first public flow ${ms(r.reactionMs)} after the band was left; p99 under its goal ${ms(r.recoveryMs)} later`,
  day: (r) =>
    `moved ${ms(r.movedBeforePeakMs)} before the peak; ${r.violationSeconds} s of violation against ` +
    `${r.reactiveViolationSeconds} s, ${usd(r.costUsd)} against ${usd(r.reactiveCostUsd)} by the reactive rule`,
  'guard-breach': (r) =>
    `rolled back (${r.breach}), new flows lost for ${ms(r.lossWindowMs)}; held off ` +
    `${r.holdOffsMs.map((held) => `${held / 1000} s`).join(', then ')}`,
  'kill-9-mid-apply': (r) =>
    `${r.kills} kills, ${r.interrupted} in the middle of a plan; always one of the two journalled states: ${r.consistent}`,
};

const at = process.argv.indexOf('--from');
const directory = at < 0 ? undefined : process.argv[at + 1];
const reportOf = (scenario) =>
  JSON.parse(
    directory === undefined
      ? execFileSync(
          process.execPath,
          [
            join(root, 'dist', 'cli', 'main.js'),
            'lab',
            '--scenario',
            scenario,
            '--name',
            'tg-figures',
            '--output',
            'json',
          ],
          { encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'inherit'] },
        )
      : readFileSync(join(directory, `${scenario}.json`), 'utf8'),
  );

const reports = Object.keys(ROWS).map(reportOf);
const rows = reports.map((report) => `| \`${report.scenario}\` | ${ROWS[report.scenario](report)} |`);
const loads = reports.map(({ loadAverage }) => loadAverage);
const load = [Math.min(...loads), Math.max(...loads)].map((value) => value.toFixed(1)).join(' to ');
const table = [
  BEGIN,
  `Measured on ${cpus().length} CPUs, Linux ${release().split('.').slice(0, 2).join('.')}, load average ${load} (the scenarios' own included): on a busy machine times are upper bounds.`,
  '',
  '| command: `tidegate lab --scenario …` | printed |',
  '|---|---|',
  ...rows,
  END,
].join('\n');
const text = readFileSync(page, 'utf8');
const [from, until] = [text.indexOf(BEGIN), text.indexOf(END)];
if (from < 0 || until < from) throw new Error(`${page} has no place for figures`);
writeFileSync(page, text.slice(0, from) + table + text.slice(until + END.length));
