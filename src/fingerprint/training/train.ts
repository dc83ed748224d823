import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { TidegateError } from '../../base/errors.js';
import { workerFile } from '../../base/worker-file.js';
import type { TrainingOutcome, TrainingRequest, TrainingStage } from './train-model.js';
import type { TrainingAnswer } from './train-worker.js';

/** Runs {@link trainModel} in a worker thread. Aborting the signal ends the thread. @throws what trainModel throws */
export async function trainInWorker(
  request: TrainingRequest,
  onProgress: (stage: TrainingStage) => void,
  signal?: AbortSignal,
): Promise<TrainingOutcome> {
  const pool = new Piscina({
    filename: workerFile(import.meta.url, './train-worker'),
    minThreads: 1,
    maxThreads: 1,
  });
  const { port1, port2 } = new MessageChannel();
  port1.on('message', onProgress);
  try {
    const answer = (await pool.run(
      { ...request, progress: port2 },
      { name: 'train', transferList: [port2], ...(signal ? { signal } : {}) },
    )) as TrainingAnswer;
    if ('outcome' in answer) return answer.outcome;
    const { code, message, hint, details, exitCode, httpStatus } = answer.failure;
    throw new TidegateError(code, message, hint, details, exitCode, httpStatus);
  } finally {
    port1.close();
    await pool.destroy();
  }
}

/** Puts a model in place in one step: a reader sees the old file or the new one, never half of one. */
export async function adoptModel(path: string, model: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.new`;
  await writeFile(fresh, model);
  await rename(fresh, path);
}
