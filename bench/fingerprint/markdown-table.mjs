// Turns reports of `tidegate fingerprint evaluate --output json` into the tables of docs/fingerprints.md.
// usage: node bench/fingerprint/markdown-table.mjs REPORT.json…
//        node bench/fingerprint/markdown-table.mjs --seeds REPORT.json…   the same task with several seeds, in one table
import { readFileSync } from 'node:fs';

const METHODS = [
  ['encoder, 32-d', (task) => task.knn1],
  ['raw features', (task) => task.baselines.rawKnn],
  ['raw, older features', (task) => task.baselines.rawKnnOld],
  ['PCA-32', (task) => task.baselines.pca32],
  ['port + protocol', (task) => task.baselines.portProtocol],
  ['majority', (task) => task.baselines.majority],
];
const score = ({ accuracy, macroF1 }) => `${accuracy.toFixed(3)} / ${macroF1.toFixed(3)}`;
const clusters = ({ nmi, purity }) => `${nmi.toFixed(3)} / ${purity.toFixed(3)}`;

/** Encoder against raw features over the seeds of one task, macro-F1. */
function overSeeds(paths) {
  const reports = paths.map((path) => JSON.parse(readFileSync(path, 'utf8')).tasks);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const spread = (values) =>
    Math.sqrt(
      mean(values.map((value) => (value - mean(values)) ** 2)) * (values.length / (values.length - 1)),
    );
  const cell = (values) => `${mean(values).toFixed(3)} ± ${spread(values).toFixed(3)}`;
  console.log('| features | seeds | encoder, 32-d | raw features | PCA-32 | port + protocol | above raw |');
  console.log('|---|---|---|---|---|---|---|');
  for (const features of new Set(reports.flat().map((task) => task.features))) {
    const tasks = reports.flat().filter((task) => task.features === features);
    if (tasks.length < reports.length) continue;
    const f1 = (of) => tasks.map((task) => of(task).macroF1);
    const [encoder, raw, pca, port] = [
      f1((task) => task.knn1),
      ...['rawKnn', 'pca32', 'portProtocol'].map((name) => f1((task) => task.baselines[name])),
    ];
    const above = encoder.filter((value, i) => value >= raw[i]).length;
    console.log(
      `| ${features} | ${tasks.length} | ${cell(encoder)} | ${cell(raw)} | ${cell(pca)} | ${cell(port)} | ${above} of ${tasks.length} |`,
    );
  }
}

const given = process.argv.slice(2);
if (given[0] === '--seeds') overSeeds(given.slice(1));
for (const path of given[0] === '--seeds' ? [] : given) {
  const { tasks } = JSON.parse(readFileSync(path, 'utf8'));
  const [{ unit, classes, captures, items, split, supervision }] = tasks;
  console.log(
    `${items} items (${unit}), ${classes} classes, ${captures} captures; ${split}; learned from ${supervision}. kNN1 accuracy / macro-F1.\n`,
  );
  console.log(`| method | ${tasks.map((task) => task.features).join(' | ')} |`);
  console.log(`|---|${tasks.map(() => '---').join('|')}|`);
  for (const [name, of] of METHODS)
    console.log(`| ${name} | ${tasks.map((task) => score(of(task))).join(' | ')} |`);
  console.log(
    `| clusters of the encoder, NMI / purity | ${tasks.map((t) => clusters(t.clustering)).join(' | ')} |`,
  );
  console.log(
    `| clusters of PCA-32, NMI / purity | ${tasks.map((t) => clusters(t.clusteringPca32)).join(' | ')} |\n`,
  );
}
