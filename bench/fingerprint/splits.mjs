// Makes two folders of links, `gallery` and `query`, for `tidegate fingerprint evaluate --gallery --query`: captures
// that stand in for those of another network or collector.
//   --by time --labels FILE   captures of flow labels: the half that was recorded first, and the other (another year,
//                             other machines, other versions of the programs)
//   --by copy                 folders of devices: of numbered copies (X1 and X2, X and X2) the second copy is asked,
//                             another unit of the device; all other folders are in the gallery
//   --by run                  folders of devices: the first half of each folder's captures, and the other
//   --by one                  one capture of each folder (its fourth), and every second one of the rest
// usage: node bench/fingerprint/splits.mjs --captures DIR --by WAY --out DIR [--labels FILE]
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: {
    captures: { type: 'string' },
    by: { type: 'string' },
    out: { type: 'string' },
    labels: { type: 'string' },
  },
});

const captures = readdirSync(flags.captures, { recursive: true })
  .filter((file) => /\.(pcap|pcapng|cap)$/i.test(file))
  .sort();

/** When each capture's first labelled flow began. */
function firstSeen() {
  const [header, ...lines] = readFileSync(flags.labels, 'utf8').trim().split(/\r?\n/);
  const [file, seconds] = ['file', 'firstSeenSeconds'].map((name) => header.split(',').indexOf(name));
  const times = new Map();
  for (const line of lines) {
    const cells = line.split(',');
    times.set(
      cells[file],
      Math.min(times.get(cells[file]) ?? Number.POSITIVE_INFINITY, Number(cells[seconds])),
    );
  }
  return times;
}

const byFolder = (choose) => {
  const folders = new Map();
  for (const file of captures) folders.set(dirname(file), [...(folders.get(dirname(file)) ?? []), file]);
  return [...folders.values()].flatMap((files) => files.map((file, i) => [file, choose(i, files.length)]));
};

/** Capture → gallery, query or neither. */
const WAYS = {
  time: () => {
    const times = firstSeen();
    const known = captures.filter((file) => times.has(basename(file)));
    known.sort((a, b) => times.get(basename(a)) - times.get(basename(b)));
    return known.map((file, i) => [file, i * 2 < known.length ? 'gallery' : 'query']);
  },
  copy: () => {
    const folders = new Set(captures.map(dirname));
    const isCopy = (folder) =>
      folder.endsWith('2') && (folders.has(folder.slice(0, -1)) || folders.has(`${folder.slice(0, -1)}1`));
    return captures.map((file) => [file, isCopy(dirname(file)) ? 'query' : 'gallery']);
  },
  run: () => byFolder((i, count) => (i * 2 < count ? 'gallery' : 'query')),
  one: () =>
    byFolder((i, count) => (i === Math.min(3, count - 1) ? 'gallery' : i % 2 === 0 ? 'query' : undefined)),
};

/** `X1` and `X2`, or `X` and `X2`, are one class also where the other is in the other folder. */
const classOf = (folder) => folder.replace(/(?<=[A-Za-z])[12]$/, '');
const folders = new Set(captures.map(dirname));
const target = (folder) => {
  const stem = classOf(folder);
  const copies = [stem, `${stem}1`, `${stem}2`].filter((name) => folders.has(name));
  return copies.length > 1 ? stem : folder;
};

for (const [file, side] of WAYS[flags.by]()) {
  if (side === undefined) continue;
  const folder = join(flags.out, side, target(dirname(file)));
  mkdirSync(folder, { recursive: true });
  // A folder of two copies keeps both names apart.
  symlinkSync(
    resolve(flags.captures, file),
    join(folder, `${dirname(file).replaceAll('/', '-')}-${basename(file)}`.replace(/^\.-/, '')),
  );
}
