import type { MessagePort } from 'node:worker_threads';
import { type TrainingOutcome, type TrainingRequest, trainModel } from './train-model.js';

export interface TrainingTask extends TrainingRequest {
  /** Where the stages are reported. */
  readonly progress: MessagePort;
}

/** Trains in a thread of its own: the main thread stays responsive for minutes of arithmetic. */
export async function train(task: TrainingTask): Promise<TrainingOutcome> {
  const { progress, ...request } = task;
  try {
    return await trainModel(request, (stage) => progress.postMessage(stage));
  } finally {
    progress.close();
  }
}
