import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { workerFile } from '../../base/worker-file.js';
import { labError } from '../errors.js';
import { seededRandom } from '../traffic/random.js';
import { ceilingsApplier, ceilingsPlan, type KillSettings } from './ceilings.js';
import type { ScenarioReport } from './report.js';
import { type Stage, sleep } from './stage.js';

/** Starts a process that applies a plan and kills it that many ms after it begins; whether it was still at it. */
async function applyAndKill(settings: KillSettings, afterMs: number): Promise<boolean> {
  const child = fork(workerFile(import.meta.url, './applier-host'), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    detached: true,
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  let applied = false;
  await new Promise<void>((resolve, reject) => {
    child.on('message', (message: string) => {
      if (message.startsWith('failed'))
        reject(labError('TG_LAB_TRAFFIC', { network: 'gateway', reason: message }));
      applied ||= message === 'applied';
      resolve();
    });
    child.once('error', reject);
    child.send(settings);
  });
  await sleep(afterMs);
  child.kill('SIGKILL');
  await gone;
  return !applied;
}

/**
 * Kills the applier with signal 9 at moments spread over the time that applying takes. After each kill another
 * applier recovers by the journal; the kernel must then be exactly as before the plan or as after it.
 */
export async function killMidApplyScenario(stage: Stage, kills = 6): Promise<ScenarioReport> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-kill-'));
  const where = { netns: stage.topology.gatewayNetns, directory };
  const random = seededRandom(1);
  let consistent = true;
  let interrupted = 0;
  let rateBps = 1e6;
  try {
    for (let i = 0; i <= kills; i += 1) {
      const next = rateBps + 1e6;
      if (i > 0 && (await applyAndKill({ ...where, planId: `kill-${i}`, rateBps: next }, 40 * random())))
        interrupted += 1;
      const { applier, journal } = ceilingsApplier(where);
      await journal.open();
      await applier.recover();
      if (i === 0) await applier.apply(ceilingsPlan('first', rateBps));
      else {
        const differs = async (rate: number): Promise<number> =>
          (await applier.preview(ceilingsPlan('check', rate))).previews.flatMap((p) => p.steps).length;
        const [fromBefore, fromAfter] = [await differs(rateBps), await differs(next)];
        consistent &&= fromBefore === 0 || fromAfter === 0;
        if (fromAfter === 0) rateBps = next;
      }
      if (i === kills) stage.journal.all.push(...(await journal.entries()));
      await applier.close();
      await journal.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return { scenario: 'kill-9-mid-apply', kills, interrupted, consistent, journal: stage.journal.all };
}
