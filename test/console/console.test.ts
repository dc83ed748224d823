import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bpfSkipReason } from '../support/privileges.js';
import { RunningLab } from './running-lab.js';

const CHROMIUM = '/usr/bin/chromium';
const built = join(import.meta.dirname, '../../dist/console');
const skip =
  bpfSkipReason() ??
  (existsSync(CHROMIUM) ? undefined : "needs Debian's chromium") ??
  (existsSync(join(built, 'index.html')) ? undefined : 'needs the console (make console)');

/** A browser, a lab and an engine beside whatever else runs. */
const PATIENCE_MS = 240_000;

describe.skipIf(skip !== undefined)(
  `the console on a running lab${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const lab = new RunningLab(`con${process.pid}`);
    let browser: Browser;
    let page: Page;
    let problems: string[];
    let foreign: string[];

    beforeAll(async () => {
      await lab.start();
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
      await lab.until<{ plans: unknown[] }>('/api/plans', ({ plans }) => plans.length > 1);
    }, 240_000);
    afterAll(async () => {
      await browser?.close();
      await lab.stop();
    }, 120_000);

    beforeEach(async () => {
      await page?.close();
      problems = [];
      foreign = [];
      page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      page.setDefaultTimeout(90_000);
      page.on('pageerror', (error) => problems.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error') problems.push(message.text());
      });
      page.on('request', (request) => {
        if (!request.url().startsWith(lab.url) && !request.url().startsWith('data:'))
          foreign.push(request.url());
      });
    });
    const open = (path: string) => page.goto(`${lab.url}${path}`);
    const quiet = (): void => {
      expect(problems).toEqual([]);
      expect(foreign).toEqual([]);
    };

    test(
      'the overview tells what the API tells, live, and that nothing was lost',
      async () => {
        await open('/');
        await page.getByText('live').waitFor();
        expect(await page.locator('#packets-lost').textContent()).toBe('0');
        const seen = page.locator('.figure', { hasText: 'Packets seen' }).locator('strong');
        const number = async (): Promise<number> => Number((await seen.textContent())?.replaceAll(',', ''));
        const before = await number();
        await expect.poll(number, { timeout: 60_000 }).toBeGreaterThan(before);
        for (const link of ['private', 'public-a', 'public-b'])
          await page.getByRole('link', { name: link, exact: true }).waitFor();
        quiet();
      },
      PATIENCE_MS,
    );

    test(
      'every page has its data, asks nobody else, and is reached by its digit',
      async () => {
        await open('/');
        const shows: readonly (readonly [string, string, string])[] = [
          ['2', 'Flows', 'svg.sankey path'],
          ['3', 'Workloads', 'svg.histogram rect'],
          ['4', 'Fingerprint map', 'canvas.map'],
          ['5', 'Forecast', 'svg.spark polyline'],
          ['6', 'Plan', 'svg.gantt rect'],
          ['7', 'Cost', 'tfoot strong'],
          ['8', 'Health', 'tbody tr th'],
          ['1', 'Overview', '.meter'],
        ];
        for (const [key, title, selector] of shows) {
          await page.keyboard.press(key);
          await page.getByRole('heading', { level: 1, name: title }).waitFor();
          await page.locator(selector).first().waitFor();
          expect(await page.title(), title).toContain(title);
        }
        quiet();
      },
      PATIENCE_MS,
    );

    test(
      'filters live in the address: the same address shows the same, and back goes back',
      async () => {
        await open('/flows?by=link&from=5m');
        await page.locator('table caption', { hasText: 'usage_1s' }).waitFor();
        await page.getByLabel('By', { exact: true }).selectOption('port');
        await expect.poll(() => page.url(), { timeout: 60_000 }).toContain('by=port');
        await page.locator('table caption', { hasText: 'flows' }).waitFor();
        await page.reload();
        expect(await page.getByLabel('By', { exact: true }).inputValue()).toBe('port');
        await page.getByLabel('port', { exact: true }).fill('8443');
        await page.getByLabel('port', { exact: true }).press('Enter');
        await expect.poll(() => page.url(), { timeout: 60_000 }).toContain('port=8443');
        await expect
          .poll(async () => (await page.locator('tbody th[scope=row]').allInnerTexts()).map((t) => t.trim()))
          .toEqual(['8443', 'total']);
        quiet();
      },
      PATIENCE_MS,
    );

    test(
      'an area of the fingerprint map becomes a filter of the traffic',
      async () => {
        await open('/map');
        const box = await page.locator('canvas.map').boundingBox();
        await page.mouse.move(box!.x + 4, box!.y + 4);
        await page.mouse.down();
        await page.mouse.move(box!.x + box!.width - 4, box!.y + box!.height - 4, { steps: 3 });
        await page.mouse.up();
        const chosen = await page.getByRole('heading', { name: /flows chosen/ }).textContent();
        expect(Number(chosen?.split(' ')[0]?.replaceAll(',', ''))).toBeGreaterThan(10);
        await page.getByRole('button', { name: 'Show their traffic' }).click();
        await page.getByRole('heading', { level: 1, name: 'Flows' }).waitFor();
        expect(page.url()).toMatch(/workload=\d+(,|%2C)\d+/);
        await page.locator('svg.sankey path').first().waitFor();
        quiet();
      },
      PATIENCE_MS,
    );

    test(
      'the SQL behind a number can be seen and run there',
      async () => {
        await open('/flows');
        await page.getByRole('button', { name: 'SQL behind Top' }).click();
        const dialog = page.getByRole('dialog');
        await dialog.getByRole('button', { name: 'Run' }).first().click();
        await dialog.locator('tbody tr').first().waitFor();
        expect(await dialog.locator('pre').first().textContent()).toContain('FROM usage_1s');
        await page.keyboard.press('Escape');
        await expect.poll(() => dialog.isVisible(), { timeout: 60_000 }).toBe(false);
        quiet();
      },
      PATIENCE_MS,
    );

    test(
      'a name that a person gives is the name everywhere',
      async () => {
        await open('/workloads');
        await page.getByRole('link', { name: 'open' }).first().click();
        await page.getByLabel('Name', { exact: true }).fill('orders database');
        await page.getByRole('button', { name: 'Give it this name' }).click();
        await page.getByRole('heading', { name: 'orders database' }).waitFor();
        await page.keyboard.press('Escape');
        await open('/health');
        await page.getByText('names "').first().waitFor();
        quiet();
      },
      PATIENCE_MS,
    );

    test(
      'a plan is approved, applied, seen to be followed, and rolled back',
      async () => {
        await open('/plan');
        await page.getByRole('button', { name: 'Plan now' }).click();
        await page.getByRole('button', { name: 'Approve' }).click();
        await page.getByRole('button', { name: 'Apply' }).click();
        await expect
          .poll(() => page.locator('#plan-state').textContent(), { timeout: 60_000 })
          .toBe('applied');
        type Plans = { actuation: { followingPlanId: string | null } };
        await lab.until<Plans>('/api/plans', ({ actuation }) => actuation.followingPlanId !== null, 30_000);
        await page.getByRole('button', { name: 'Roll back' }).click();
        await expect
          .poll(() => page.locator('#plan-state').textContent(), { timeout: 60_000 })
          .not.toBe('applied');
        await lab.until<Plans>('/api/plans', ({ actuation }) => actuation.followingPlanId === null, 30_000);
        await open('/health');
        for (const action of ['approve', 'apply', 'rollback'])
          await page.getByText(`${action} of plan`).first().waitFor();
        quiet();
      },
      PATIENCE_MS,
    );

    test(
      'the tutorial: every command after `make run` works as it stands, up to a plan that is applied and undone',
      async () => {
        const root = join(import.meta.dirname, '..', '..');
        const text = readFileSync(join(root, 'docs', 'tutorial.md'), 'utf8');
        const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);
        expect(blocks.shift()).toBe('make run\n');
        await lab.until<{ forecasts: unknown[] }>('/api/forecasts', ({ forecasts }) => forecasts.length > 0);
        const states: (string | null)[] = [];
        for (const block of blocks) {
          const code = block
            .replaceAll('npx tidegate', `node ${join(root, 'dist', 'cli', 'main.js')}`)
            .replaceAll('http://127.0.0.1:7180', lab.url);
          const run = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', code], {
            env: { ...process.env, ...lab.environment },
          });
          expect(run.stdout.trim(), `${block}\n${run.stderr}`).not.toBe('');
          // What curl prints is an answer, not a refusal.
          expect(run.stdout).not.toMatch(/"code":"TG_/);
          const plans = await (await fetch(`${lab.url}/api/plans`)).json();
          states.push((plans as { actuation: { followingPlanId: string | null } }).actuation.followingPlanId);
        }
        expect(states.map((id) => id !== null)).toEqual(
          blocks.map((code) => /plan apply|actuations/.test(code)),
        );
      },
      PATIENCE_MS,
    );

    test(
      'every page can be read and worked by everybody, in light and dark (axe-core)',
      async () => {
        const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
        for (const path of ['', 'flows', 'workloads', 'map', 'forecast', 'plan', 'cost', 'health']) {
          await open(`/${path}`);
          await page.locator('main .card').first().waitFor();
          await expect.poll(() => page.getByText('Loading…').count(), { timeout: 60_000 }).toBe(0);
          await page.evaluate(axe);
          for (const theme of ['light', 'dark']) {
            await page.evaluate(`document.documentElement.dataset.theme = '${theme}'`);
            const found = await page.evaluate<string[]>(
              `axe.run().then(({ violations }) => violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 160) + ' ' + (n.any[0] ?? n.all[0] ?? n.none[0])?.message)))`,
            );
            expect(found, `/${path}, ${theme}`).toEqual([]);
          }
        }
        quiet();
      },
      PATIENCE_MS,
    );

    test('dark is dark and stays so; everything can be reached by keyboard', async () => {
      await open('/');
      const ground = (): Promise<string> =>
        page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
      const light = await ground();
      await page.getByRole('button', { name: 'Dark' }).click();
      const dark = await ground();
      expect(dark).not.toBe(light);
      await page.reload();
      expect(await ground()).toBe(dark);
      await page.getByRole('button', { name: 'Light' }).click();
      await page.reload();
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'Flows' }).waitFor();
      quiet();
    });
  },
);

test.skipIf(!existsSync(join(built, 'index.html')))('the whole console is below 150 kB compressed', () => {
  const files = readdirSync(built, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const size = files.reduce((sum, f) => sum + gzipSync(readFileSync(join(f.parentPath, f.name))).length, 0);
  expect(size).toBeLessThan(150_000);
});
