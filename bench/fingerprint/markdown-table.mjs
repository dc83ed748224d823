// Turns reports of `tidegate fingerprint evaluate --output json` into the tables of docs/fingerprints.md.
// usage: node bench/fingerprint/markdown-table.mjs REPORT.json…
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

for (const path of process.argv.slice(2)) {
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
