import type { MessagePort } from 'node:worker_threads';
import { type ErrorDetails, TidegateError } from '../../base/errors.js';
import { type TrainingOutcome, type TrainingRequest, trainModel } from './train-model.js';

export interface TrainingTask extends TrainingRequest {
  /** Where the stages are reported. */
  readonly progress: MessagePort;
}

/** A Tidegate error as plain data: the class does not survive the way between threads. */
export interface TrainingFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly details: ErrorDetails;
  readonly exitCode: number;
  readonly httpStatus: number;
}

export type TrainingAnswer = { readonly outcome: TrainingOutcome } | { readonly failure: TrainingFailure };

/** Trains in a thread of its own: the main thread stays responsive for minutes of arithmetic. */
export async function train(task: TrainingTask): Promise<TrainingAnswer> {
  const { progress, ...request } = task;
  try {
    return { outcome: await trainModel(request, (stage) => progress.postMessage(stage)) };
  } catch (error) {
    if (!(error instanceof TidegateError)) throw error;
    const { code, message, hint, details, exitCode, httpStatus } = error;
    return { failure: { code, message, hint, details, exitCode, httpStatus } };
  } finally {
    progress.close();
  }
}
