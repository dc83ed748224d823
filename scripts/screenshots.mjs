// Makes docs/images/*.png: starts a lab of its own, waits until it has something to show, and looks at the console.
// Usage: node scripts/screenshots.mjs [--out DIRECTORY] [--dark]   (root, after `make build`; needs Debian's chromium)
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const root = join(import.meta.dirname, '..');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-screenshots-'));
const { values: flags } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'docs', 'images') },
    dark: { type: 'boolean', default: false },
  },
});
const images = resolve(flags.out);
const PAGES = ['overview', 'flows', 'workloads', 'map', 'forecast', 'plan', 'cost', 'health'];
/** Two of the lab's days: the forecast has seen its season. */
const HISTORY_MS = 130_000;
const SETTLE_MS = 4000;

const lab = spawn(
  process.execPath,
  [
    join(root, 'dist/cli/main.js'),
    'lab',
    '--name',
    'screenshots',
    '--data-directory',
    join(directory, 'data'),
    '--output',
    'json',
  ],
  {
    env: {
      ...process.env,
      TIDEGATE_RUN_DIRECTORY: join(directory, 'run'),
      TIDEGATE_API_LISTEN: '["127.0.0.1:0"]',
      TIDEGATE_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  },
);
try {
  const file = join(directory, 'run', 'screenshots.json');
  while (!existsSync(file)) {
    if (lab.exitCode !== null) throw new Error('the lab ended');
    await sleep(200);
  }
  const [url] = JSON.parse(readFileSync(file, 'utf8')).api.urls;
  await sleep(HISTORY_MS);
  mkdirSync(images, { recursive: true });
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  for (const scheme of flags.dark ? ['light', 'dark'] : ['light']) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const name of PAGES) {
      await page.goto(`${url}/${name === 'overview' ? '' : name}${name === 'flows' ? '?from=5m' : ''}`);
      await page.getByText('live').waitFor();
      await sleep(SETTLE_MS);
      while ((await page.getByText('Loading…').count()) > 0) await sleep(500);
      const path = join(images, `console-${name}${scheme === 'dark' ? '-dark' : ''}.png`);
      await page.screenshot({ path, fullPage: flags.dark });
    }
  }
  await browser.close();
} finally {
  if (lab.exitCode === null) {
    lab.kill('SIGINT');
    await once(lab, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
}
