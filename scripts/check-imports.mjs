// Rooms depend one way only (docs/architecture.md). Reads every import of src/ and fails on one that goes up.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Lower number = lower room. A file may import from its own room and from lower ones. */
const LEVEL = {
  base: 0,
  flow: 1,
  capture: 2,
  ipfix: 2,
  fingerprint: 3,
  store: 4,
  usage: 5,
  forecast: 6,
  pricing: 6,
  plan: 7,
  actuate: 8,
  telemetry: 8,
  config: 9.5,
  doctor: 9.7,
  pipeline: 9,
  lab: 9,
  api: 9.2,
  console: 10,
  // src/gateway.ts, the composition root, and src/index.ts
  '': 11,
  cli: 12,
};

const root = resolve(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), '..', 'src');
const files = (dir) =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? files(join(dir, entry.name))
      : /\.tsx?$/.test(entry.name)
        ? [join(dir, entry.name)]
        : [],
  );
const roomOf = (file) => {
  const parts = relative(root, file).split('/');
  return parts.length > 1 ? parts[0] : '';
};

let bad = 0;
for (const file of files(root)) {
  const from = roomOf(file);
  if (!(from in LEVEL)) {
    console.error(`${relative(root, file)}: room ${from} is not in scripts/check-imports.mjs`);
    bad += 1;
    continue;
  }
  for (const match of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g)) {
    const to = roomOf(resolve(dirname(file), match[1]));
    const sameLevel = LEVEL[to] === LEVEL[from] && to !== from;
    if (!(to in LEVEL) || LEVEL[to] > LEVEL[from] || sameLevel) {
      console.error(`src/${relative(root, file)}: ${from || 'src'} must not import ${match[1]} (${to})`);
      bad += 1;
    }
  }
}
if (bad > 0) process.exit(1);
