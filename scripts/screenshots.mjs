// Makes docs/images/*.png: starts a lab of its own, waits until it has something to show, and looks at the console.
// Usage: node scripts/screenshots.mjs   (root, after `make build`; needs Debian's chromium)
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const root = join(import.meta.dirname, '..');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-screenshots-'));
const images = join(root, 'docs', 'images');
const PAGES = ['overview', 'flows', 'map', 'plan'];
/** Two of the lab's days: the forecast has seen its season. */
const HISTORY_MS = 130_000;

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
  for (const name of PAGES) {
    await page.goto(`${url}/${name === 'overview' ? '' : name}${name === 'flows' ? '?from=5m' : ''}`);
    await page.getByText('live').waitFor();
    await sleep(5000);
    await page.screenshot({ path: join(images, `console-${name}.png`) });
  }
  await browser.close();
} finally {
  if (lab.exitCode === null) {
    lab.kill('SIGINT');
    await once(lab, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
}
